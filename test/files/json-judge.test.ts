import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import fc from 'fast-check'
import { JsonJudge } from '../../src/files/validation/json-judge.ts'
import { JsonPlaces } from '../../src/files/validation/json-places.ts'

function judgeOf(schema: unknown): JsonJudge {
  const judge = JsonJudge.compile(JSON.stringify(schema))
  assert.ok(judge.ok, judge.ok ? '' : judge.error)
  return judge.value
}

const BUILD = judgeOf({
  type: 'object',
  properties: {
    name: { type: 'string', format: 'email' },
    tags: { type: 'array', items: { type: 'string' } },
  },
  required: ['name'],
  additionalProperties: false,
})

describe('a JSON document', () => {
  it('is told all its faults, each with its place', () => {
    const text = '{\n  "name": "x",\r\n  "tags": ["a", 1],\n  "a/b": 2\n}'
    const faults = BUILD.document(Buffer.from(text)).toSorted(
      (a, b) => (a.line ?? 0) - (b.line ?? 0),
    )
    assert.deepEqual(faults, [
      { message: '/name must match format "email"', line: 2, column: 11 },
      { message: '/tags/1 must be string', line: 3, column: 17 },
      { message: '/a~1b must NOT have additional properties', line: 4, column: 10 },
    ])
  })

  it('is refused where it stops being JSON, without what it says there', () => {
    const faults = BUILD.document(Buffer.from('{"name":\n  secret}'))
    assert.deepEqual(faults, [{ message: 'is not JSON', line: 2, column: 3 }])
  })

  it('is refused when it is no UTF-8, or begins with a byte order mark', () => {
    assert.deepEqual(BUILD.document(Buffer.from([0x22, 0xff, 0x22])), [{ message: 'is not UTF-8' }])
    const [fault] = BUILD.document(Buffer.from('\ufeff{"name":"a@b.de"}'))
    assert.equal(fault?.message, 'is not JSON')
  })

  it('is refused when it is nested deeper than a schema can follow', () => {
    const tree = judgeOf({ type: 'array', items: { $ref: '#' } })
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    assert.deepEqual(tree.document(Buffer.from(deep)), [
      { message: 'is nested too deeply to be judged' },
    ])
    assert.equal(judgeOf({ type: 'string' }).document(Buffer.from(deep)).length, 1)
  })

  it('is told a hundred faults at most, and one when it is large', () => {
    const numbers = judgeOf({ items: { type: 'number' } })
    assert.equal(numbers.document(Buffer.from(JSON.stringify(Array(1000).fill('x')))).length, 100)
    const large = JSON.stringify(Array(300_000).fill('x'))
    assert.equal(numbers.document(Buffer.from(large)).length, 1)
  })
})

test('a document on each line is judged by itself, with the number of its line', () => {
  const lines = '{"name":"a@b.de"}\n\n{"name":1}\r\n{"name"}\n'
  assert.deepEqual(BUILD.lines(Buffer.from(lines)), [
    { message: '/name must be string', line: 3, column: 9 },
    { message: 'is not JSON', line: 4, column: 8 },
  ])
})

describe('a schema', () => {
  it('may be of draft-07 or 2020-12, which is what one without dialect is', () => {
    const tuple = { prefixItems: [{ type: 'string' }] }
    const one = Buffer.from('[1]')
    assert.equal(judgeOf(tuple).document(one).length, 1)
    const $schema = 'http://json-schema.org/draft-07/schema#'
    assert.equal(judgeOf({ $schema, ...tuple }).document(one).length, 0)
    assert.equal(judgeOf({ $schema, items: [{ type: 'string' }] }).document(one).length, 1)
  })

  for (const text of [
    '{',
    '1',
    '{"type":"strin"}',
    '{"$ref":"other.json"}',
    '{"pattern":"("}',
    '{"$schema":"http://json-schema.org/draft-04/schema#"}',
  ]) {
    it(`is refused when nothing can be judged by it: ${text}`, () => {
      assert.equal(JsonJudge.compile(text).ok, false)
    })
  }
})

test('whatever the bytes, a document is accepted exactly when it is JSON and fits', () => {
  const strings = judgeOf({ type: 'array', items: { type: 'string' } })
  const documents = fc.oneof(
    fc.json(),
    fc.array(fc.string()).map((list) => JSON.stringify(list, undefined, 1)),
    fc.string(),
  )
  const fits = (text: string) => {
    try {
      const value: unknown = JSON.parse(text)
      return Array.isArray(value) && value.every((item) => typeof item === 'string')
    } catch {
      return false
    }
  }
  fc.assert(
    fc.property(documents, (text) => {
      assert.equal(strings.document(Buffer.from(text)).length === 0, fits(text))
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      strings.document(bytes)
      strings.lines(bytes)
    }),
  )
})

test('every value of a document is found at its pointer', () => {
  const token = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')
  function* pointersOf(value: unknown, at = ''): Generator<[pointer: string, value: unknown]> {
    yield [at, value]
    if (typeof value !== 'object' || value === null) return
    for (const [name, inner] of Object.entries(value))
      yield* pointersOf(inner, `${at}/${token(name)}`)
  }
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent)
      const places = new JsonPlaces(text)
      const lines = text.split('\n')
      for (const [pointer, inner] of pointersOf(JSON.parse(text))) {
        const place = places.placeOf(pointer)
        assert.ok(place !== undefined, pointer)
        const rest = (lines[place.line - 1] ?? '').slice(place.column - 1)
        const begin = JSON.stringify(inner)
        assert.ok(
          rest.startsWith(typeof inner === 'object' && inner !== null ? (begin[0] ?? '') : begin),
        )
      }
    }),
  )
})
