import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type ConditionOutcome,
  evaluateConditions,
  parseConditions,
  type Validators,
} from '../../src/files/http/conditions.ts'
import { BrokerError } from '../../src/protocol/problem.ts'

const T = Date.parse('2026-05-05T10:00:00.900Z')
const current: Validators = { etag: '"a"', modifiedMs: T }
const unhashed: Validators = { etag: undefined, modifiedMs: T }
const at = new Date(T).toUTCString()
const before = new Date(T - 1000).toUTCString()
const after = new Date(T + 1000).toUTCString()

interface Row {
  readonly fields: Record<string, string>
  readonly on?: Validators | 'missing'
  readonly read: ConditionOutcome
  readonly write: ConditionOutcome
}

/** RFC 9110 section 13.2.2, step by step, for reads and for writes. */
const ROWS: readonly Row[] = [
  { fields: {}, read: 'proceed', write: 'proceed' },
  { fields: {}, on: 'missing', read: 'proceed', write: 'proceed' },
  // Step 1: If-Match, by strong comparison.
  { fields: { 'if-match': '"a"' }, read: 'proceed', write: 'proceed' },
  { fields: { 'if-match': '"b", "a"' }, read: 'proceed', write: 'proceed' },
  { fields: { 'if-match': '*' }, read: 'proceed', write: 'proceed' },
  { fields: { 'if-match': '"b"' }, read: 'failed', write: 'failed' },
  { fields: { 'if-match': 'W/"a"' }, read: 'failed', write: 'failed' },
  { fields: { 'if-match': '"a"' }, on: 'missing', read: 'failed', write: 'failed' },
  { fields: { 'if-match': '*' }, on: 'missing', read: 'failed', write: 'failed' },
  // Step 2: If-Unmodified-Since, when there is no If-Match.
  { fields: { 'if-unmodified-since': at }, read: 'proceed', write: 'proceed' },
  { fields: { 'if-unmodified-since': after }, read: 'proceed', write: 'proceed' },
  { fields: { 'if-unmodified-since': before }, read: 'failed', write: 'failed' },
  { fields: { 'if-unmodified-since': 'yesterday' }, read: 'proceed', write: 'proceed' },
  { fields: { 'if-unmodified-since': before }, on: 'missing', read: 'proceed', write: 'proceed' },
  {
    fields: { 'if-match': '"a"', 'if-unmodified-since': before },
    read: 'proceed',
    write: 'proceed',
  },
  // Step 3: If-None-Match, by weak comparison.
  { fields: { 'if-none-match': '"a"' }, read: 'not-modified', write: 'failed' },
  { fields: { 'if-none-match': 'W/"a"' }, read: 'not-modified', write: 'failed' },
  { fields: { 'if-none-match': '"b", "a"' }, read: 'not-modified', write: 'failed' },
  { fields: { 'if-none-match': '*' }, read: 'not-modified', write: 'failed' },
  { fields: { 'if-none-match': '"b"' }, read: 'proceed', write: 'proceed' },
  { fields: { 'if-none-match': '*' }, on: 'missing', read: 'proceed', write: 'proceed' },
  { fields: { 'if-none-match': '"a"' }, on: 'missing', read: 'proceed', write: 'proceed' },
  { fields: { 'if-match': '"b"', 'if-none-match': '"a"' }, read: 'failed', write: 'failed' },
  { fields: { 'if-match': '"a"', 'if-none-match': '"a"' }, read: 'not-modified', write: 'failed' },
  // Step 4: If-Modified-Since, for reads without If-None-Match.
  { fields: { 'if-modified-since': at }, read: 'not-modified', write: 'proceed' },
  { fields: { 'if-modified-since': after }, read: 'not-modified', write: 'proceed' },
  { fields: { 'if-modified-since': before }, read: 'proceed', write: 'proceed' },
  { fields: { 'if-modified-since': 'soon' }, read: 'proceed', write: 'proceed' },
  {
    fields: { 'if-none-match': '"b"', 'if-modified-since': after },
    read: 'proceed',
    write: 'proceed',
  },
  // A file whose digest is not known: conditions by tag cannot be promised either way.
  { fields: { 'if-match': '*' }, on: unhashed, read: 'failed', write: 'failed' },
  { fields: { 'if-none-match': '"a"' }, on: unhashed, read: 'failed', write: 'failed' },
  { fields: { 'if-none-match': '*' }, on: unhashed, read: 'failed', write: 'failed' },
  { fields: { 'if-modified-since': at }, on: unhashed, read: 'not-modified', write: 'proceed' },
  { fields: {}, on: unhashed, read: 'proceed', write: 'proceed' },
]

for (const { fields, on = current, read, write } of ROWS) {
  const state = on === 'missing' ? 'no file' : on === unhashed ? 'an unhashed file' : 'a file'
  test(`${JSON.stringify(fields)} on ${state} is ${read} for reads and ${write} for writes`, () => {
    const validators = on === 'missing' ? undefined : on
    const conditions = parseConditions(fields)
    assert.equal(evaluateConditions(conditions, validators, true), read)
    assert.equal(evaluateConditions(conditions, validators, false), write)
  })
}

test('a list of tags that cannot be read is refused rather than ignored', () => {
  for (const value of ['abc', '', '"a" "b"', '"a', 'w/"a"', '*, "a"', '"a", *', '"a"b']) {
    for (const name of ['if-match', 'if-none-match']) {
      assert.throws(() => parseConditions({ [name]: value }), { code: 'REQUEST_INVALID' }, value)
    }
  }
})

test('no field value throws anything but a problem', () => {
  const names = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.string({ unit: 'binary' }), (name, value) => {
      try {
        evaluateConditions(parseConditions({ [name]: value }), current, true)
      } catch (error) {
        assert.ok(error instanceof BrokerError)
      }
    }),
  )
})
