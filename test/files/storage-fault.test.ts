import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storageFault } from '../../src/files/store/storage-fault.ts'
import { BrokerError } from '../../src/protocol/problem.ts'

const ROWS = {
  ENOSPC: 'STORAGE_FULL',
  EDQUOT: 'STORAGE_FULL',
  EROFS: 'READ_ONLY',
  EACCES: 'READ_ONLY',
  EBUSY: 'READ_ONLY',
  EPERM: 'READ_ONLY',
  ENOTDIR: 'PATH_CONFLICT',
  EISDIR: 'PATH_CONFLICT',
  ELOOP: 'PATH_CONFLICT',
  EMFILE: 'UNAVAILABLE',
}

for (const [code, problem] of Object.entries(ROWS)) {
  test(`a write that fails with ${code} is ${problem}`, () => {
    const cause = Object.assign(new Error('/secret/place'), { code })
    const fault = storageFault(cause)
    assert.ok(fault instanceof BrokerError)
    assert.equal(fault.code, problem)
    assert.equal(fault.cause, cause)
    assert.ok(!fault.message.includes('/secret'))
  })
}

test('a failure that says nothing to a caller is passed through', () => {
  for (const error of [Object.assign(new Error('x'), { code: 'EIO' }), new Error('y'), 'z', null]) {
    assert.equal(storageFault(error), error)
  }
})
