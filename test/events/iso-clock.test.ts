import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isoClock } from '../../src/events/publish/iso-clock.ts'

test('the time is told as it is now, however often it is asked for', () => {
  let ms = 0
  const clock = isoClock(() => ms)
  for (const next of [0, 0, 1, 1_763_700_000_123, 1_763_700_000_123, 1]) {
    ms = next
    assert.equal(clock(), new Date(next).toISOString())
  }
})
