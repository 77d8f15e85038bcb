import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonText } from '../../src/client/events/json-text.ts'
import { encodeEvent } from '../../src/client/events/new-event.ts'

test('an event has an id of its own, a type, and its data as JSON', () => {
  const event = JSON.parse(encodeEvent({ topic: 'a', data: { x: 1 } }))
  assert.match(event.id, /^[0-9a-f]{32}$/)
  assert.deepEqual(event, {
    id: event.id,
    specversion: '1.0',
    type: 'message',
    topic: 'a',
    datacontenttype: 'application/json',
    data: { x: 1 },
  })
})

test('what is given wins, what is undefined is not sent', () => {
  const text = encodeEvent({ topic: 'a', id: '7', type: 't', source: undefined, run: 5 })
  const expected = { id: '7', specversion: '1.0', type: 't', topic: 'a', run: 5 }
  assert.deepEqual(JSON.parse(text), expected)
})

test('any JSON value arrives as it is', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (data) => {
      const sent = JSON.parse(encodeEvent({ topic: 'a', data }))
      assert.deepEqual(sent.data, JSON.parse(JSON.stringify(data)))
    }),
  )
})

test('JSON text keeps its text, and bytes become base64', () => {
  const text = '{"2":1.0,"1":12345678901234567890}'
  assert.ok(encodeEvent({ topic: 'a', data: new JsonText(text) }).endsWith(`"data":${text}}`))
  assert.throws(() => new JsonText('{'), SyntaxError)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100_000 }), (data) => {
      const event = JSON.parse(encodeEvent({ topic: 'a', data }))
      assert.equal(event.datacontenttype, 'application/octet-stream')
      assert.deepEqual(Buffer.from(event.data_base64, 'base64'), Buffer.from(data))
    }),
    { numRuns: 20 },
  )
})
