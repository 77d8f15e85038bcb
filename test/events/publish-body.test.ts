import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_BATCH_EVENTS, readPublishBody } from '../../src/events/publish/publish-body.ts'
import { BrokerError } from '../../src/protocol/problem.ts'

function read(headers: Record<string, string>, body: string | Buffer) {
  return readPublishBody(headers, Buffer.from(body))
}

const NDJSON = { 'content-type': 'application/x-ndjson' }
const BATCH = { 'content-type': 'application/cloudevents-batch+json; charset=UTF-8' }

test('a structured event is one event, whatever the case and parameters of its media type', () => {
  for (const type of [
    'application/cloudevents+json',
    'Application/CloudEvents+JSON;charset=utf-8',
    'application/cloudevents+json; charset=UTF-8',
  ]) {
    assert.deepEqual(read({ 'content-type': type }, '{"specversion":"1.0"}'), {
      isBatch: false,
      inputs: [{ kind: 'structured', text: '{"specversion":"1.0"}' }],
    })
  }
})

test('a batch keeps the bytes of each event', () => {
  const { isBatch, inputs } = read(BATCH, '[ {"n":1.0} , {"n":10000000000000000001} ]')
  assert.equal(isBatch, true)
  assert.deepEqual(inputs, [
    { kind: 'structured', text: '{"n":1.0}' },
    { kind: 'structured', text: '{"n":10000000000000000001}' },
  ])
})

test('a line is a CloudEvent if it has specversion, else the data of a new event', () => {
  const { inputs } = read(
    { ...NDJSON, 'x-event-type': 'build' },
    '{"specversion":"1.0","type":"t"}\n\n[1,2]\r\n"text"',
  )
  const attributes = { type: 'build', datacontenttype: 'application/json' }
  assert.deepEqual(inputs, [
    { kind: 'structured', text: '{"specversion":"1.0","type":"t"}' },
    { kind: 'message', attributes, data: { json: '[1,2]\r' } },
    { kind: 'message', attributes, data: { json: '"text"' } },
  ])
})

test('binary mode takes attributes from percent-encoded headers and the body as it is', () => {
  const headers = {
    'ce-specversion': '1.0',
    'ce-type': 'build',
    'ce-id': '7',
    'ce-subject': 'Euro%20%E2%82%AC%20%F0%9F%98%80',
    'content-type': 'application/json',
  }
  assert.deepEqual(read(headers, '{"a":1}').inputs, [
    {
      kind: 'message',
      attributes: {
        specversion: '1.0',
        type: 'build',
        id: '7',
        subject: 'Euro € 😀',
        datacontenttype: 'application/json',
      },
      data: { json: '{"a":1}' },
    },
  ])
})

test('a body without a stated type is JSON if it can be, then text, then bytes', () => {
  const message = (datacontenttype: string, data: unknown) => [
    { kind: 'message', attributes: { datacontenttype }, data },
  ]
  assert.deepEqual(read({}, '{"a":1}').inputs, message('application/json', { json: '{"a":1}' }))
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  assert.deepEqual(read(form, '[1]').inputs, message('application/json', { json: '[1]' }))
  assert.deepEqual(read(form, 'a=b').inputs, message('text/plain', { text: 'a=b' }))
  const bytes = Buffer.from([0xff, 0xfe])
  assert.deepEqual(read({}, bytes).inputs, message('application/octet-stream', { base64: '//4=' }))
  assert.deepEqual(read({}, '').inputs, [{ kind: 'message', attributes: {}, data: undefined }])
})

test('what a ce- header holds is unquoted, then percent-decoded once', () => {
  for (const [value, subject] of [
    ['a%20b', 'a b'],
    ['%22%25%7e', '"%~'],
    ['%2520', '%20'],
    ['%F0%9f%98%80', '😀'],
    ['"a b"', 'a b'],
    ['"say \\"hi\\" \\\\"', 'say "hi" \\'],
    ['"%41"', 'A'],
    ['"a" and "b"', '"a" and "b"'],
    ['"', '"'],
    // What a shell sends without encoding; Node hands it over as Latin-1.
    [Buffer.from('é€').toString('latin1'), 'é€'],
  ] as const) {
    const [input] = read(
      { 'ce-specversion': '1.0', 'ce-type': 't', 'ce-subject': value },
      '',
    ).inputs
    assert.equal(input?.kind === 'message' && input.attributes['subject'], subject, value)
  }
})

test('bytes under another charset stay the bytes they are', () => {
  for (const [type, body] of [
    ['text/plain; charset=iso-8859-1', Buffer.from([0xc3, 0xa9])],
    ['text/xml;charset="UTF-16"', Buffer.from('a', 'utf16le')],
  ] as const) {
    const [input] = read({ 'content-type': type }, body).inputs
    assert.deepEqual(input?.kind === 'message' && input.data, { base64: body.toString('base64') })
  }
  const [input] = read({ 'content-type': 'text/plain; charset="UTF-8"' }, 'é').inputs
  assert.deepEqual(input?.kind === 'message' && input.data, { text: 'é' })
})

test('the type that is stated for no data is kept', () => {
  const headers = { 'ce-specversion': '1.0', 'ce-type': 't', 'content-type': 'application/json' }
  const [input] = read(headers, '').inputs
  assert.deepEqual(input, {
    kind: 'message',
    attributes: { specversion: '1.0', type: 't', datacontenttype: 'application/json' },
    data: undefined,
  })
})

test('a stated type is kept and only JSON types are read as JSON', () => {
  const { inputs } = read({ 'content-type': 'text/plain; charset=utf-8' }, '42')
  assert.deepEqual(inputs, [
    {
      kind: 'message',
      attributes: { datacontenttype: 'text/plain; charset=utf-8' },
      data: { text: '42' },
    },
  ])
  const vendor = read({ 'content-type': 'application/vnd.x+json' }, '42').inputs[0]
  assert.deepEqual(vendor?.kind === 'message' && vendor.data, { json: '42' })
})

const REFUSED: readonly [headers: Record<string, string>, body: string | Buffer, code: string][] = [
  [{ 'content-type': 'application/json' }, '{', 'JSON_INVALID'],
  [{ 'content-type': 'application/json' }, Buffer.from([0x22, 0xff, 0x22]), 'JSON_INVALID'],
  [{ 'content-type': 'application/cloudevents+json' }, Buffer.from([0xff]), 'JSON_INVALID'],
  [{ 'content-type': 'application/cloudevents+avro' }, '', 'MEDIA_TYPE_UNSUPPORTED'],
  [BATCH, '{}', 'EVENT_INVALID'],
  [BATCH, '[', 'JSON_INVALID'],
  [NDJSON, '{}\n{', 'JSON_INVALID'],
  [NDJSON, '1\n'.repeat(MAX_BATCH_EVENTS + 1), 'TOO_LARGE'],
  [{ 'ce-id': '1', 'ce-type': 't' }, '', 'EVENT_INVALID'],
  [{ 'ce-specversion': '1.0' }, '', 'EVENT_INVALID'],
  [{ 'ce-specversion': '1.0', 'ce-type': 't', 'ce-data': 'x' }, '', 'EVENT_INVALID'],
  [{ 'ce-specversion': '1.0', 'ce-type': 't', 'ce-data_base64': 'AA==' }, '', 'EVENT_INVALID'],
  [{ 'ce-specversion': '1.0', 'ce-type': '%C0%A0' }, '', 'EVENT_INVALID'],
  [{ 'ce-specversion': '1.0', 'ce-type': '%ED%A0%80' }, '', 'EVENT_INVALID'],
  [{ 'ce-specversion': '1.0', 'ce-type': '100%' }, '', 'EVENT_INVALID'],
  [{ 'ce-specversion': '1.0', 'ce-type': '\u00e9' }, '', 'EVENT_INVALID'],
  [{ 'x-event-type': '\u00e9' }, '', 'EVENT_INVALID'],
  [{ 'content-type': 'application/json' }, '\ufeff{}', 'JSON_INVALID'],
]

for (const [headers, body, code] of REFUSED) {
  test(`${JSON.stringify(headers)} with ${JSON.stringify(String(body).slice(0, 20))} is ${code}`, () => {
    assert.throws(() => read(headers, body), { code })
  })
}

test('a bad line is named by its index', () => {
  assert.throws(() => read(NDJSON, '1\n2\n{'), { code: 'JSON_INVALID', fields: { index: 2 } })
})

test('random bytes under any type give events or a problem', () => {
  const types = [
    'application/json',
    'application/x-ndjson',
    'application/cloudevents+json',
    'application/cloudevents-batch+json',
    'text/plain',
    '',
  ]
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (type, body) => {
        try {
          assert.ok(Array.isArray(readPublishBody({ 'content-type': type }, body).inputs))
        } catch (error) {
          assert.ok(error instanceof BrokerError, String(error))
        }
      },
    ),
    { numRuns: 1000 },
  )
})
