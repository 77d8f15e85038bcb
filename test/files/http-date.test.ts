import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatHttpDate, parseHttpDate } from '../../src/files/http/http-date.ts'

const NOW = Date.parse('2026-11-21T00:00:00Z')

test('a time is read as it was written', () => {
  const seconds = fc.integer({ min: -62_135_596_800, max: 253_402_300_799 })
  fc.assert(
    fc.property(seconds, (time) => {
      assert.equal(parseHttpDate(formatHttpDate(time * 1000)), time * 1000)
    }),
  )
})

test('the obsolete forms are read too', () => {
  const time = Date.parse('1994-11-06T08:49:37Z')
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), time)
  assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT', NOW), time)
  assert.equal(parseHttpDate('Sun Nov  6 08:49:37 1994'), time)
  const year = (text: string) => new Date(parseHttpDate(text, NOW) ?? Number.NaN).getUTCFullYear()
  assert.equal(year('Friday, 06-Nov-76 08:49:37 GMT'), 2076)
  assert.equal(year('Friday, 06-Nov-77 08:49:37 GMT'), 1977)
})

test('what is no date is none', () => {
  const texts = [
    '',
    'yesterday',
    '0',
    '1994-11-06T08:49:37Z',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 06 nov 1994 08:49:37 GMT',
    'Mon, 31 Feb 2020 00:00:00 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:00 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
    'Sunday, 06-Nov-1994 08:49:37 GMT',
    ' Sun, 06 Nov 1994 08:49:37 GMT',
  ]
  for (const text of texts) assert.equal(parseHttpDate(text), undefined, text)
})

test('no text is more than no date', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(parseHttpDate(text), undefined)
    }),
  )
})
