import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  openEnvelope,
  readZmqCommand,
  type ZmqCommand,
  type ZmqEnvelope,
} from '../../src/events/zmq/zmq-command.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { mutated } from '../support/mutated-text.ts'

function frames(...parts: (string | Uint8Array)[]): Buffer[] {
  return parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part)))
}

function read(...parts: (string | Uint8Array)[]): ZmqCommand {
  return readZmqCommand(openEnvelope(frames(...parts)))
}

function inputOf(command: ZmqCommand) {
  assert.ok(command.verb === 'PUBLISH' && command.input.kind === 'message')
  return command.input
}

describe('an envelope', () => {
  it('with an empty first frame is that of a REQ, which is not part of the command', () => {
    const envelope = openEnvelope(frames('', 'PING'))
    assert.equal(envelope.isRequest, true)
    assert.deepEqual(envelope.frames.map(String), ['PING'])
  })

  it('of a single empty frame is none', () => {
    assert.equal(openEnvelope(frames('')).isRequest, false)
  })
})

describe('a command', () => {
  it('of each verb is read', () => {
    assert.deepEqual(read('PING'), { verb: 'PING' })
    assert.deepEqual(read('SUBSCRIBE', 't', 'ci/**', 'k3:7'), {
      verb: 'SUBSCRIBE',
      token: 't',
      filter: 'ci/**',
      since: { epoch: 'k3', offset: 7 },
    })
    assert.deepEqual(read('UNSUBSCRIBE', 't', 'ci/*'), {
      verb: 'UNSUBSCRIBE',
      token: 't',
      filter: 'ci/*',
    })
    assert.deepEqual(read('', 'PUBLISH', 't', 'ci/x', '[1]', '{"type":"a"}'), {
      verb: 'PUBLISH',
      token: 't',
      topic: 'ci/x',
      input: {
        kind: 'message',
        attributes: { datacontenttype: 'application/json', type: 'a' },
        data: { json: '[1]' },
      },
    })
  })

  it('SUBSCRIBE starts with what comes next when since is empty or left out', () => {
    for (const command of [read('SUBSCRIBE', '', 'ci/**', ''), read('SUBSCRIBE', '', 'ci/**')]) {
      assert.ok(command.verb === 'SUBSCRIBE')
      assert.equal(command.since, 'latest')
    }
  })

  it('PUBLISH with a declared type is read as over HTTP', () => {
    const declared = (payload: string, type: string) =>
      inputOf(read('PUBLISH', '', 'a', payload, JSON.stringify({ datacontenttype: type }))).data
    assert.deepEqual(declared('{}', 'application/cloudevents+json; a=b'), { json: '{}' })
    assert.deepEqual(declared('42', 'text/plain'), { text: '42' })
    assert.throws(() => declared('{', 'application/json'), { code: 'JSON_INVALID' })
    assert.equal(declared('', 'application/json'), undefined)
  })

  it('that is not one is refused with the code that tells why', () => {
    const invalid = Uint8Array.of(0xc3, 0x28)
    for (const [code, ...parts] of [
      ['COMMAND_INVALID'],
      ['COMMAND_INVALID', 'publish', 't', 'a', '1'],
      ['COMMAND_INVALID', 'PUBLISH', 't', 'a'],
      ['COMMAND_INVALID', 'PUBLISH', 't', 'a', '1', '{}', ''],
      ['COMMAND_INVALID', 'PUBLISH', 'x'.repeat(513), 'a', '1'],
      ['COMMAND_INVALID', 'PUBLISH', invalid, 'a', '1'],
      ['TOPIC_INVALID', 'PUBLISH', 't', 'a/*', '1'],
      ['TOPIC_INVALID', 'PUBLISH', 't', invalid, '1'],
      ['JSON_INVALID', 'PUBLISH', 't', 'a', '1', '{'],
      ['JSON_INVALID', 'PUBLISH', 't', 'a', '1', invalid],
      ['EVENT_INVALID', 'PUBLISH', 't', 'a', '1', '[]'],
      ['EVENT_INVALID', 'PUBLISH', 't', 'a', '1', 'null'],
      ['EVENT_INVALID', 'PUBLISH', 't', 'a', '1', '{"type":1}'],
      ['EVENT_INVALID', 'PUBLISH', 't', 'a', '1', '{"data":"x"}'],
      ['EVENT_INVALID', 'PUBLISH', 't', 'a', '1', '{"data_base64":"eA=="}'],
      ['FILTER_INVALID', 'SUBSCRIBE', 't', 'a/**/b', ''],
      ['FILTER_INVALID', 'UNSUBSCRIBE', 't', invalid],
      ['POSITION_INVALID', 'SUBSCRIBE', 't', 'a', '7'],
      ['POSITION_INVALID', 'SUBSCRIBE', 't', 'a', invalid],
      ['COMMAND_INVALID', '', 'SUBSCRIBE', 't', 'a', ''],
      ['COMMAND_INVALID', '', 'UNSUBSCRIBE', 't', 'a'],
      ['COMMAND_INVALID', 'UNSUBSCRIBE', 't', 'a', ''],
      ['COMMAND_INVALID', 'PING', ''],
    ] as [string, ...(string | Uint8Array)[]][]) {
      assert.throws(
        () => read(...parts),
        { name: 'BrokerError', code },
        parts.map(String).join(' '),
      )
    }
  })

  it('with a frame that is not quite right is read or refused with its own code', () => {
    const near = (...texts: string[]) => mutated(fc.constantFrom(...texts))
    const attributes = near('{"type":"a","id":"7"}', '{"datacontenttype":"application/json"}', '')
    const publish = fc.tuple(
      fc.constantFrom('', 'PUBLISH'),
      near('t'),
      near('ci/x/y'),
      near('[1,{"a":1e3}]', 'text'),
      attributes,
    )
    const subscribe = fc.tuple(fc.constant('SUBSCRIBE'), near('t'), near('ci/*/**'), near('k3:7'))
    const codes = ['COMMAND', 'TOPIC', 'FILTER', 'POSITION', 'JSON', 'EVENT'].map(
      (w) => `${w}_INVALID`,
    )
    fc.assert(
      fc.property(fc.oneof(publish, subscribe), (parts) => {
        try {
          const command = read(...parts)
          assert.ok(command.verb === parts[0])
          if (command.verb !== 'PUBLISH' || command.input.kind !== 'message') return
          const { data } = command.input
          const back = data && Object.values(data)[0]
          assert.equal(back ?? '', Buffer.from(parts[3]).toString())
        } catch (error) {
          assert.ok(error instanceof BrokerError && codes.includes(error.code), String(error))
        }
      }),
      { numRuns: 4000 },
    )
  })

  it('of whatever bytes is read or refused with a problem', () => {
    const verb = fc.constantFrom('PUBLISH', 'SUBSCRIBE', 'UNSUBSCRIBE', 'PING')
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.json({ maxDepth: 2 }),
      fc.constantFrom('', 'ci/x', 'ci/**', 'latest', 'k3:7', '{"type":"a"}'),
      verb,
    )
    const message = fc.tuple(fc.boolean(), fc.option(verb), fc.array(frame, { maxLength: 7 }))
    fc.assert(
      fc.property(message, ([isRequest, known, rest]) => {
        const parts = [...(isRequest ? [''] : []), ...(known === null ? [] : [known]), ...rest]
        const envelope: ZmqEnvelope = openEnvelope(frames(...parts))
        try {
          assert.ok(
            ['PUBLISH', 'SUBSCRIBE', 'UNSUBSCRIBE', 'PING'].includes(readZmqCommand(envelope).verb),
          )
        } catch (error) {
          assert.ok(error instanceof BrokerError, String(error))
        }
      }),
      { numRuns: 5000 },
    )
  })
})
