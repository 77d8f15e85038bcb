import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs } from '../../src/client/http/backoff.ts'

test('the longest wait doubles from 250 ms to 30 s', () => {
  const longest = [1, 2, 3, 4, 8, 50].map((attempt) => backoffMs(attempt, () => 1))
  assert.deepEqual(longest, [250, 500, 1000, 2000, 30_000, 30_000])
})

test('all of a wait is random', () => {
  assert.equal(
    backoffMs(5, () => 0),
    0,
  )
  assert.equal(
    backoffMs(5, () => 0.25),
    1000,
  )
})
