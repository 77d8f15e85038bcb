import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { storeEvent } from '../../src/events/log/stored-event.ts'
import { composeEvent, type PublishContext } from '../../src/events/publish/compose-event.ts'
import type { EventInput } from '../../src/events/publish/event-input.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import type { Topic } from '../../src/protocol/topic.ts'

const CONTEXT: PublishContext = {
  topic: 'ci/build' as Topic,
  user: 'jenkins',
  now: '2026-11-20T10:00:00.000Z',
  newId: () => '01J',
}

function compose(input: EventInput, context: Partial<PublishContext> = {}) {
  return composeEvent(input, { ...CONTEXT, ...context })
}

function structured(text: string, context?: Partial<PublishContext>) {
  return compose({ kind: 'structured', text }, context)
}

function stored(draft: ReturnType<typeof composeEvent>): string {
  return storeEvent('k3x9', 1042, draft.topic, draft.json).json.toString()
}

test('a payload becomes an event in the documented order of attributes', () => {
  const draft = compose({
    kind: 'message',
    attributes: { type: 'build.finished', datacontenttype: 'application/json' },
    data: { json: '{"job":"app","build":42}' },
  })
  assert.equal(
    stored(draft),
    '{"specversion":"1.0","id":"01J","source":"/users/jenkins","type":"build.finished",' +
      '"time":"2026-11-20T10:00:00.000Z","datacontenttype":"application/json",' +
      '"data":{"job":"app","build":42},"topic":"ci/build","authtype":"user","authid":"jenkins",' +
      '"position":"k3x9:1042"}',
  )
})

test('what a publisher sent keeps its bytes; only line breaks become spaces', () => {
  const text =
    '{ "type" : "t", "specversion":"1.0",\r\n"z":1,"data":{"n":12345678901234567890.10,"b":1,"a":"\\u00e9\\n"},\n"source":"s", "id":"7","time":"2026-01-01T00:00:00Z" }\n'
  const kept = text
    .trimEnd()
    .replaceAll(/[\r\n]/g, ' ')
    .slice(0, -2)
  assert.equal(
    structured(text).json,
    `${kept},"topic":"ci/build","authtype":"user","authid":"jenkins"`,
  )
})

test('attributes that the broker sets replace those of a received event', () => {
  const once = stored(structured('{"specversion":"1.0","type":"t","data":[1]}'))
  const again = structured(once, { user: 'other', topic: undefined })
  assert.equal(again.topic, 'ci/build')
  const event = JSON.parse(stored(again))
  assert.equal(event.authid, 'other')
  assert.equal(event.id, '01J')
  assert.equal(stored(again).match(/"position"/g)?.length, 1)
  assert.equal(stored(again).match(/"topic"/g)?.length, 1)
})

test('an attribute that is null is filled in or left out as if it were absent', () => {
  const text = '{"specversion":"1.0","type":"t","id":null,"source":null,"time":null,"ext":null}'
  const absent = structured('{"specversion":"1.0","type":"t"}')
  assert.equal(structured(text).json, absent.json)
  assert.equal(structured(text).identity, undefined)
})

test('anonymous events say so and name nobody', () => {
  const event = JSON.parse(stored(structured('{"specversion":"1.0","type":"t"}', { user: null })))
  assert.equal(event.authtype, 'unauthenticated')
  assert.equal('authid' in event, false)
})

const REFUSED: readonly [text: string, code: string][] = [
  ['{', 'JSON_INVALID'],
  ['[]', 'EVENT_INVALID'],
  ['null', 'EVENT_INVALID'],
  ['{"type":"t"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0"}', 'EVENT_INVALID'],
  ['{"specversion":"0.3","type":"t"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":""}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":null}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","type":"u"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","op":"x"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","Upper":"x"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","ext":{}}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","ext":3000000000}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","ext":1.5}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","ext":"\\u0007"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","ext":"\\ud800"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","ext":"\\uffff"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","__proto__":"x"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","\\u0074ype":"u"}', 'EVENT_INVALID'],
  ['{"specversion":1.0,"type":"t"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","id":7}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","source":"a b"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","time":"yesterday"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","data":1,"data_base64":"AA=="}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","data_base64":"?"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","topic":"other"}', 'EVENT_INVALID'],
  ['{"specversion":"1.0","type":"t","topic":"a//b"}', 'TOPIC_INVALID'],
  ['{"specversion":"1.0","type":"t","source":"/broker/files"}', 'TOPIC_RESERVED'],
]

for (const [text, code] of REFUSED) {
  test(`${text} is refused with ${code}`, () => {
    assert.throws(() => structured(text), { code })
  })
}

test('reserved topics are refused for everybody', () => {
  for (const topic of ['files/x', 'broker/missed']) {
    const context = { topic: topic as Topic }
    assert.throws(() => structured('{"specversion":"1.0","type":"t"}', context), {
      code: 'TOPIC_RESERVED',
    })
  }
})

test('a client-given id makes a publish recognisable, and only that', () => {
  assert.equal(structured('{"specversion":"1.0","type":"t"}').identity, undefined)
  const given = structured('{"specversion":"1.0","type":"t","id":"1"}').identity
  assert.notEqual(given, undefined)
  assert.notEqual(
    structured('{"specversion":"1.0","type":"t","id":"1"}', { user: 'b' }).identity,
    given,
  )
  assert.notEqual(
    structured('{"specversion":"1.0","type":"t","id":"1","source":"x"}').identity,
    given,
  )
})

test('whatever is sent, the result is one line of JSON or a problem', () => {
  const event = fc.record(
    {
      specversion: fc.constant('1.0'),
      type: fc.constantFrom('t', '', 'é'),
      id: fc.oneof(fc.string(), fc.jsonValue()),
      topic: fc.oneof(fc.constant('ci/build'), fc.string()),
      data: fc.jsonValue(),
      position: fc.jsonValue(),
    },
    { requiredKeys: ['specversion'] },
  )
  const text = fc.oneof(
    fc.string(),
    fc
      .tuple(event, fc.constantFrom(0, 1))
      .map(([value, indent]) => JSON.stringify(value, null, indent)),
  )
  fc.assert(
    fc.property(text, (input) => {
      try {
        const line = stored(structured(input))
        assert.ok(!/[\r\n]/.test(line))
        const parsed = JSON.parse(line)
        assert.equal(parsed.topic, 'ci/build')
        assert.equal(Object.keys(parsed).at(-1), 'position')
        assert.deepEqual(parsed.data, JSON.parse(input).data)
      } catch (error) {
        assert.ok(error instanceof BrokerError, String(error))
      }
    }),
    { numRuns: 500 },
  )
})
