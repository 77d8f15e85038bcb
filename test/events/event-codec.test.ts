import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { storeEvent } from '../../src/events/log/stored-event.ts'
import { composeEvent, type PublishContext } from '../../src/events/publish/compose-event.ts'
import type { EventInput } from '../../src/events/publish/event-input.ts'
import { membersOf } from '../../src/events/publish/json-members.ts'
import { readPublishBody } from '../../src/events/publish/publish-body.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import type { Topic } from '../../src/protocol/topic.ts'
import { jsonText } from '../support/json-text.ts'
import { mutated } from '../support/mutated-text.ts'

/** From the bytes of a request to the bytes of an event. */
const CONTEXT: PublishContext = {
  topic: 'ci/build' as Topic,
  user: 'jenkins',
  now: '2026-11-20T10:00:00.000Z',
  newId: () => '01J',
}

const CODES = ['JSON_INVALID', 'EVENT_INVALID', 'TOPIC_INVALID', 'TOPIC_RESERVED', 'TOO_LARGE']

function stored(input: EventInput): string {
  const { topic, json } = composeEvent(input, CONTEXT)
  return storeEvent('k3x9', 1042, topic, json).json.toString()
}

/** Holds of every event that is accepted, whatever it was made of. */
function checkEvent(line: string): Record<string, unknown> {
  assert.doesNotMatch(line, /[\r\n]/)
  assert.ok(line.endsWith(',"authtype":"user","authid":"jenkins","position":"k3x9:1042"}'), line)
  const names = membersOf(line).map(({ key }) => key)
  assert.equal(new Set(names).size, names.length, `${line} has an attribute twice`)
  const event = JSON.parse(line)
  for (const name of ['specversion', 'id', 'source', 'type', 'time', 'topic']) {
    assert.ok(typeof event[name] === 'string' && event[name] !== '', `${name} of ${line}`)
  }
  assert.equal(event.specversion, '1.0')
  assert.equal(event.topic, 'ci/build')
  for (const name of names) assert.ok(name === 'data' || event[name] !== null, name)
  return event
}

/** Runs `work`, which may refuse in the ways there are and in no other. */
function unlessRefused(work: () => void, ...codes: string[]): void {
  try {
    work()
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    assert.ok(error instanceof BrokerError, String(error))
    assert.ok([...CODES, ...codes].includes(error.code), error.code)
  }
}

const attribute = fc.oneof(
  fc.tuple(
    fc.constantFrom('id', 'source', 'time', 'subject', 'dataschema', 'datacontenttype', 'ext', '1'),
    fc.oneof(
      fc.constantFrom('""', 'null', '"x"', '"/a"', '"urn:x"', '"text/plain"', 'true', '7', '1.5'),
      fc.constantFrom('"2026-11-20T10:00:00.123456789+01:00"', '"\\ud800"', '"\\u0000"', '"é"'),
      jsonText({ lineBreaks: true }),
    ),
  ),
  fc.tuple(
    fc.constantFrom('topic', 'position', 'authtype', 'authid', 'op', 'Bad', '__proto__', 'data'),
    fc.oneof(fc.constantFrom('"ci/build"', 'null', '"x"'), jsonText({ lineBreaks: true })),
  ),
)

const structured = fc
  .tuple(
    fc.uniqueArray(attribute, { selector: ([name]) => name, maxLength: 4 }),
    fc.nat(4),
    fc.constantFrom('', ' ', '\n', '\t\r\n'),
  )
  .map(([attributes, at, space]) => {
    const members = attributes.map(([name, value]) => `"${name}"${space}:${space}${value}`)
    members.splice(at, 0, '"specversion":"1.0"', `"type":${space}"t"`)
    return `${space}{${space}${members.join(`${space},${space}`)}${space}}${space}`
  })

test('a structured event, whole or mutated, is refused or becomes one line with its data', () => {
  let accepted = 0
  fc.assert(
    fc.property(fc.oneof(structured, mutated(structured)), (text) => {
      unlessRefused(() => {
        const event = checkEvent(stored({ kind: 'structured', text }))
        const given = JSON.parse(text)
        accepted += 1
        for (const [name, value] of Object.entries(given)) {
          if (['topic', 'position', 'authtype', 'authid'].includes(name)) continue
          if (name === 'data' || value !== null) assert.deepEqual(event[name], value)
        }
      })
    }),
    { numRuns: 4000 },
  )
  assert.ok(accepted > 500, `only ${accepted} were accepted`)
})

test('an event that was accepted is accepted again and stays as it is', () => {
  fc.assert(
    fc.property(structured, (text) => {
      unlessRefused(() => {
        const once = stored({ kind: 'structured', text })
        assert.equal(stored({ kind: 'structured', text: once }), once)
      })
    }),
    { numRuns: 1000 },
  )
})

test('any request is refused or becomes events, whatever its headers and bytes are', () => {
  const line = mutated(fc.oneof(structured, jsonText({ lineBreaks: false })))
  const body = fc.oneof(
    fc.array(line, { maxLength: 4 }).map((lines) => Buffer.from(lines.join('\n'))),
    fc.array(structured, { maxLength: 3 }).map((events) => Buffer.from(`[${events.join(',')}]`)),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  )
  const type = mutated(
    fc.constantFrom(
      'application/json',
      'application/cloudevents+json; charset=UTF-8',
      'application/cloudevents-batch+json',
      'application/x-ndjson',
      'text/plain; charset="iso-8859-1"',
      'application/x-www-form-urlencoded',
    ),
  )
  const value = mutated(fc.constantFrom('1.0', 't', '%C3%A9', '"a \\"b\\""', '/source', 'x'))
  const name = fc.constantFrom(
    ...['ce-specversion', 'ce-type', 'ce-id', 'ce-source', 'ce-time', 'ce-x', 'ce-__proto__'],
    ...['ce-topic', 'ce-data', 'x-event-type', 'ce-constructor'],
  )
  const headers = fc.tuple(fc.option(type), fc.dictionary(name, value, { maxKeys: 4 }))
  fc.assert(
    fc.property(headers, fc.boolean(), body, ([contentType, others], isFull, bytes) => {
      const fields = {
        ...(contentType !== null && { 'content-type': contentType }),
        ...(isFull && { 'ce-specversion': '1.0', 'ce-type': 't' }),
        ...others,
      }
      unlessRefused(() => {
        for (const input of readPublishBody(fields, bytes).inputs) {
          const event = checkEvent(stored(input))
          if (input.kind === 'structured') continue
          const { data } = input
          const back = data && ('json' in data ? JSON.parse(data.json) : Object.values(data)[0])
          assert.deepEqual(event['data'] ?? event['data_base64'] ?? null, back ?? null)
        }
      }, 'MEDIA_TYPE_UNSUPPORTED')
    }),
    { numRuns: 4000 },
  )
})

test('attributes as long as a whole request are judged like any other', () => {
  const long = (text: string) => text.repeat((16 * 1024 * 1024) / text.length)
  for (const [member, isFine] of [
    [`"source":"${long('abcd')}"`, true],
    [`"source":"${long('abcd')} "`, false],
    [`"data_base64":"${long('AAAA')}"`, true],
    [`"data_base64":"${long('AAAA')}="`, false],
    [`"datacontenttype":"a/b${long('    ')}x"`, false],
    [`"time":"2026-01-01T00:00:00.${long('0000')}Z"`, true],
  ] as const) {
    const text = `{"specversion":"1.0","type":"t",${member}}`
    if (isFine) checkEvent(stored({ kind: 'structured', text }))
    else assert.throws(() => stored({ kind: 'structured', text }), { code: 'EVENT_INVALID' })
  }
})

for (const text of ['AA==', 'AAA=', 'AAAA', '']) {
  test(`${JSON.stringify(text)} is base64`, () => {
    const event = `{"specversion":"1.0","type":"t","data_base64":"${text}"}`
    assert.equal(checkEvent(stored({ kind: 'structured', text: event }))['data_base64'], text)
  })
}

for (const text of ['A', 'AA=', 'A===', '====', 'AA=A', '=AAA', 'AAA_', 'AA==AAAA']) {
  test(`${text} is not base64`, () => {
    const event = `{"specversion":"1.0","type":"t","data_base64":"${text}"}`
    assert.throws(() => stored({ kind: 'structured', text: event }), { code: 'EVENT_INVALID' })
  })
}
