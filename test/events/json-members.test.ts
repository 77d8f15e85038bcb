import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { elementsOf, membersOf, withoutMembers } from '../../src/events/publish/json-members.ts'

/** JSON text of a value with random space between its tokens. */
const spaced = fc
  .tuple(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t', ' \r\n'))
  .map(([value, indent]) => JSON.stringify(value, null, indent as string | number | undefined))

test('members of an object are found where they are, whatever they hold', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.constantFrom(0, 2, '\t'),
      (object, indent) => {
        const text = JSON.stringify(object, null, indent)
        const members = membersOf(text)
        const parsed: unknown = JSON.parse(text)
        assert.deepEqual(
          members.map(({ key }) => key),
          Object.keys(parsed as object),
        )
        for (const { key, valueStart, end } of members) {
          const value: unknown = JSON.parse(text.slice(valueStart, end))
          assert.deepEqual(value, Object.getOwnPropertyDescriptor(parsed, key)?.value)
        }
      },
    ),
  )
})

test('what is left after leaving members out is the object without them', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.func(fc.boolean()),
      (object, isOut) => {
        const text = JSON.stringify(object, null, 1)
        const left = withoutMembers(text, membersOf(text), ({ key }) => isOut(key))
        const kept = Object.entries(object).filter(([key]) => !isOut(key))
        assert.deepEqual(
          Object.entries(JSON.parse(left)),
          kept.map(([key, value]) => [key, JSON.parse(JSON.stringify(value))]),
        )
      },
    ),
  )
})

test('leaving nothing out changes no byte', () => {
  const text = '{ "b" :1.50e3 ,\n"a":12345678901234567890 , "2": {"x":[ ]} }'
  assert.equal(
    withoutMembers(text, membersOf(text), () => false),
    text,
  )
})

test('elements of an array are found with their own bytes', () => {
  assert.deepEqual(elementsOf(' [ 1.0 ,"a,]\\"" , {"x":[1, 2]},[] ,null] '), [
    '1.0',
    '"a,]\\""',
    '{"x":[1, 2]}',
    '[]',
    'null',
  ])
  assert.deepEqual(elementsOf('[ ]'), [])
  fc.assert(
    fc.property(fc.array(spaced), (elements) => {
      const text = `[${elements.join(' , ')}]`
      assert.deepEqual(elementsOf(text), elements)
    }),
  )
})
