import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSwitch } from '../../src/protocol/query-switch.ts'

const READ: readonly [query: string, meaning: boolean | undefined][] = [
  ['on', true],
  ['on=', true],
  ['on=true', true],
  ['on=1', true],
  ['on=false', false],
  ['on=0', false],
  ['on=yes', undefined],
  ['on=TRUE', undefined],
  ['on=01', undefined],
  ['on=%20', undefined],
  ['on=1&on=0', undefined],
  ['on&on', undefined],
]

for (const [text, meaning] of READ) {
  test(`?${text} is ${meaning ?? 'refused'}, whatever holds without it`, () => {
    for (const fallback of [true, false]) {
      const read = () => parseSwitch(new URLSearchParams(text), 'on', fallback)
      if (meaning === undefined) assert.throws(read, { code: 'REQUEST_INVALID' })
      else assert.equal(read(), meaning)
    }
  })
}

test('a switch that the query does not have is what it is without it', () => {
  for (const fallback of [true, false]) {
    assert.equal(parseSwitch(new URLSearchParams('one=1'), 'on', fallback), fallback)
  }
})
