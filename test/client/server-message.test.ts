import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseServerMessage } from '../../src/client/events/server-message.ts'

test('nothing that is received makes it throw', () => {
  const op = fc.constantFrom('welcome', 'ok', 'error', 'position', 'expiring', 'closing', 'x')
  const message = fc.record({ op, position: fc.anything(), retryAfterMs: fc.anything() })
  fc.assert(fc.property(fc.string(), (text) => void parseServerMessage(text)))
  fc.assert(fc.property(fc.json(), (text) => void parseServerMessage(text)))
  fc.assert(fc.property(message, (m) => void parseServerMessage(JSON.stringify(m))))
})

test('a message with specversion is an event, though it has an op', () => {
  const text = '{"specversion":"1.0","op":"closing","position":"e:1"}'
  assert.equal(parseServerMessage(text)?.kind, 'event')
})

test('what a later version says is passed over', () => {
  for (const text of ['{"op":"news"}', '{}', '[]', 'null', '1', '{"op":"position"}', '{']) {
    assert.equal(parseServerMessage(text), undefined)
  }
})
