import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatContentRange,
  lengthOf,
  MAX_RANGES,
  parseRange,
  rangeApplies,
} from '../../src/files/http/byte-range.ts'

const ROWS: readonly (readonly [string | undefined, unknown])[] = [
  [undefined, 'whole'],
  ['bytes=0-0', [[0, 0]]],
  ['bytes=0-', [[0, 9]]],
  ['bytes=3-5', [[3, 5]]],
  ['bytes=3-500', [[3, 9]]],
  ['bytes=-4', [[6, 9]]],
  ['bytes=-400', [[0, 9]]],
  ['Bytes= 1-2 ', [[1, 2]]],
  [
    'bytes=0-1,4-5, 8-',
    [
      [0, 1],
      [4, 5],
      [8, 9],
    ],
  ],
  [
    'bytes=0-1,,4-5',
    [
      [0, 1],
      [4, 5],
    ],
  ],
  ['bytes=0-1,20-30', [[0, 1]]],
  ['bytes=10-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=10-11,-0', 'unsatisfiable'],
  ['bytes=5-3', 'whole'],
  ['bytes=-', 'whole'],
  ['bytes=', 'whole'],
  ['bytes=a-b', 'whole'],
  ['bytes=0-1;2-3', 'whole'],
  ['bytes=1-2-3', 'whole'],
  ['items=0-1', 'whole'],
  ['bytes=0-9,0-9', 'whole'],
  [`bytes=${Array.from({ length: MAX_RANGES + 1 }, () => '0-0').join(',')}`, 'whole'],
  ['bytes=99999999999999999-', 'whole'],
]

for (const [field, expected] of ROWS) {
  test(`of 10 bytes, Range "${field}" is ${JSON.stringify(expected)}`, () => {
    const outcome = parseRange(field, 10)
    const plain =
      typeof outcome === 'string' ? outcome : outcome.map(({ first, last }) => [first, last])
    assert.deepEqual(plain, expected)
  })
}

test('every range of an empty file is unsatisfiable', () => {
  for (const field of ['bytes=0-', 'bytes=-1', 'bytes=0-0']) {
    assert.equal(parseRange(field, 0), 'unsatisfiable')
  }
  assert.equal(formatContentRange(undefined, 0), 'bytes */0')
})

test('whatever the field says, ranges lie inside of the file and are not more than it', () => {
  const spec = fc.oneof(
    fc.tuple(fc.nat(50), fc.nat(50)).map(([from, to]) => `${from}-${to}`),
    fc.nat(50).map((from) => `${from}-`),
    fc.nat(50).map((suffix) => `-${suffix}`),
    fc.string({ maxLength: 4 }),
  )
  fc.assert(
    fc.property(fc.array(spec, { maxLength: 12 }), fc.nat(40), (specs, size) => {
      const outcome = parseRange(`bytes=${specs.join(',')}`, size)
      if (typeof outcome === 'string') return
      assert.ok(outcome.length >= 1 && outcome.length <= MAX_RANGES)
      for (const { first, last } of outcome) assert.ok(0 <= first && first <= last && last < size)
      assert.ok(outcome.reduce((sum, range) => sum + lengthOf(range), 0) <= size)
    }),
  )
})

test('If-Range holds for the very tag or date, and never for what is weak or unknown', () => {
  const modifiedMs = Date.parse('2026-05-05T10:00:00.500Z')
  const known = { etag: '"a"', modifiedMs }
  const date = new Date(modifiedMs).toUTCString()
  assert.equal(rangeApplies(undefined, known), true)
  assert.equal(rangeApplies('"a"', known), true)
  assert.equal(rangeApplies('"b"', known), false)
  assert.equal(rangeApplies('W/"a"', known), false)
  assert.equal(rangeApplies(date, known), true)
  assert.equal(rangeApplies(new Date(modifiedMs + 1000).toUTCString(), known), false)
  assert.equal(rangeApplies('rubbish', known), false)
  assert.equal(rangeApplies('"a"', { etag: undefined, modifiedMs }), false)
  assert.equal(rangeApplies(date, { etag: undefined, modifiedMs }), false)
})
