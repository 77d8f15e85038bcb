import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isLongerThan } from '../../src/protocol/text.ts'

test('text is longer than a number of bytes exactly when its UTF-8 is', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 })
  fc.assert(
    fc.property(text, fc.integer({ min: 0, max: 80 }), (each, maxBytes) => {
      assert.equal(isLongerThan(each, maxBytes), Buffer.byteLength(each) > maxBytes)
    }),
  )
  for (const each of ['', 'a', 'é', '€', '😀', '€€€']) {
    const bytes = Buffer.byteLength(each)
    assert.deepEqual([isLongerThan(each, bytes), isLongerThan(each, bytes - 1)], [false, true])
  }
})
