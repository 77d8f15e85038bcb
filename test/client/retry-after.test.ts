import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRetryAfter } from '../../src/client/http/retry-after.ts'

const nowMs = Date.parse('2026-11-20T10:00:00Z')

for (const [value, expected] of [
  ['0', 0],
  ['120', 120_000],
  ['Fri, 20 Nov 2026 10:00:05 GMT', 5000],
  ['Fri, 20 Nov 2026 09:00:00 GMT', 0],
  ['soon', undefined],
  [null, undefined],
] as const) {
  test(`Retry-After ${value} is ${expected} ms`, () => {
    assert.equal(parseRetryAfter(value, nowMs), expected)
  })
}
