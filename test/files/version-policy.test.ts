import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS, FilePolicy, type FileRule } from '../../src/files/file-policy.ts'
import { expiredVersions, keepsFormer } from '../../src/files/history/version-policy.ts'
import type { FileVersion } from '../../src/files/history/version-records.ts'
import { pathOf } from '../contract/file-index.ts'

function policyOf(...rules: Omit<FileRule, 'globs'>[]): FilePolicy {
  return new FilePolicy(
    DEFAULT_LIMITS,
    rules.map((rule) => ({ globs: ['kept/**'], ...rule })),
  )
}

const KEPT = pathOf('kept/x')

/** Versions by the time of their replacement, newest first; a negative time is a delete. */
function versionsAt(...times: number[]): FileVersion[] {
  return times.map((time) => ({
    id: String(Math.abs(time)),
    path: KEPT,
    fingerprint: { dev: 1n, ino: 1n, size: 1, mtimeNs: 1n, ctimeNs: 1n },
    sha256: '',
    replacedMs: Math.abs(time),
    deleted: time < 0,
  }))
}

function expired(policy: FilePolicy, nowMs: number, ...times: number[]): string[] {
  return expiredVersions(policy, versionsAt(...times), nowMs).map(({ id }) => id)
}

test('what is replaced is kept by a rule of versions, what is deleted also by undelete', () => {
  const both = policyOf({ versions: { keep: 3 }, undeleteMs: 10 })
  assert.deepEqual([keepsFormer(both, KEPT, false), keepsFormer(both, KEPT, true)], [true, true])
  const undelete = policyOf({ undeleteMs: 10 })
  assert.deepEqual(
    [keepsFormer(undelete, KEPT, false), keepsFormer(undelete, KEPT, true)],
    [false, true],
  )
  assert.equal(keepsFormer(policyOf({ versions: { keep: 0 } }), KEPT, true), false)
  assert.equal(keepsFormer(policyOf({ versions: {} }), KEPT, false), true)
  assert.equal(keepsFormer(both, pathOf('other/x'), true), false)
})

test('a version is kept while it is one of the newest and young enough', () => {
  assert.deepEqual(expired(policyOf({ versions: { keep: 2 } }), 100, 90, 80, 70, 60), ['70', '60'])
  assert.deepEqual(expired(policyOf({ versions: { ageMs: 25 } }), 100, 90, 80, 75, 70), [
    '75',
    '70',
  ])
  const both = policyOf({ versions: { keep: 2, ageMs: 15 } })
  assert.deepEqual(expired(both, 100, 90, 80, 70), ['80', '70'])
  assert.deepEqual(expired(policyOf({ versions: {} }), 1e12, 90, 80), [])
})

test('a deleted content is kept while its delete can be undone, whatever its rank', () => {
  const policy = policyOf({ versions: { keep: 1 }, undeleteMs: 50 })
  assert.deepEqual(expired(policy, 100, 90, -80, 70, -60, -50), ['70', '50'])
})

test('a policy that does not speak of versions expires none, one that leaves a path out does', () => {
  assert.deepEqual(expired(policyOf({ retainMs: 1 }), 1e12, 90, -80), [])
  const elsewhere = new FilePolicy(DEFAULT_LIMITS, [{ globs: ['other/**'], versions: {} }])
  assert.deepEqual(expired(elsewhere, 100, 90, -80), ['90', '80'])
})
