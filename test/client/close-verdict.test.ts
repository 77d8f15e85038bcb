import assert from 'node:assert/strict'
import { test } from 'node:test'
import { finalProblemOfClose } from '../../src/client/events/close-verdict.ts'
import { CLOSE_CODES, RECONNECTABLE } from '../../src/protocol/close-codes.ts'

test('every close code of the protocol is final unless it is reconnectable', () => {
  for (const code of Object.values(CLOSE_CODES)) {
    assert.equal(finalProblemOfClose(code) === undefined, RECONNECTABLE.has(code), String(code))
  }
})

test('broken connections are resumed, unknown faults of the client are not', () => {
  for (const code of [1000, 1005, 1006, 1011, 1013, 4599]) {
    assert.equal(finalProblemOfClose(code), undefined)
  }
  assert.equal(finalProblemOfClose(4499), 'COMMAND_INVALID')
})
