import assert from 'node:assert/strict'
import { test } from 'node:test'
import { preferredType } from '../../src/files/http/accept.ts'

const OFFERED = ['application/json', 'text/html', 'application/x-ndjson'] as const

const ROWS: readonly (readonly [string | undefined, string | undefined])[] = [
  [undefined, 'application/json'],
  ['', 'application/json'],
  ['*/*', 'application/json'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text/html'],
  ['application/x-ndjson', 'application/x-ndjson'],
  ['application/x-ndjson;q=0.5, application/json;q=0.4', 'application/x-ndjson'],
  ['text/*', 'text/html'],
  ['application/json;q=0, */*', 'text/html'],
  ['TEXT/HTML', 'text/html'],
  ['image/png', undefined],
  ['*/*;q=0', undefined],
  ['text/html;q=nonsense', undefined],
]

for (const [accept, expected] of ROWS) {
  test(`Accept "${accept}" prefers ${expected}`, () => {
    assert.equal(preferredType(accept, OFFERED), expected)
  })
}
