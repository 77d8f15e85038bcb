import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  patternCovers,
  patternMatches,
  patternsOverlap,
} from '../../src/protocol/segment-pattern.ts'

/** Every name of up to four segments over two letters: a universe to count in. */
const NAMES = ['a', 'b'].flatMap(below)

function below(name: string): string[] {
  return name.length >= 7 ? [name] : [name, ...below(`${name}/a`), ...below(`${name}/b`)]
}

const pattern = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'b', '*'), { maxLength: 2 }),
    fc.constantFrom('a', 'b', '*', '**'),
  )
  .map(([segments, last]) => [...segments, last].join('/'))

function matches(text: string): Set<string> {
  return new Set(NAMES.filter((name) => patternMatches(text, name)))
}

test('a pattern covers another when it matches all that the other matches', () => {
  fc.assert(
    fc.property(pattern, pattern, (outer, inner) => {
      assert.equal(patternCovers(outer, inner), matches(inner).isSubsetOf(matches(outer)))
    }),
  )
})

test('patterns overlap when some name matches both', () => {
  fc.assert(
    fc.property(pattern, pattern, (a, b) => {
      assert.equal(patternsOverlap(a, b), matches(a).intersection(matches(b)).size > 0)
    }),
  )
})

test('** stands for no segment too', () => {
  assert.ok(patternMatches('ci/**', 'ci'))
  assert.ok(patternMatches('**', 'a'))
  assert.ok(!patternMatches('ci/*', 'ci'))
})
