import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { comparePaths } from '../../src/files/path-order.ts'

test('paths are in the order of their UTF-8 bytes', () => {
  const text = fc.string({ unit: 'binary', maxLength: 6 }).filter((value) => value.isWellFormed())
  fc.assert(
    fc.property(text, text, (a, b) => {
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b))
      assert.equal(Math.sign(comparePaths(a, b)), expected)
    }),
    { numRuns: 1000 },
  )
})
