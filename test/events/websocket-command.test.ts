import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  CommandFault,
  ProtocolFault,
  readCommand,
} from '../../src/events/websocket/websocket-command.ts'
import { parseTopic } from '../../src/protocol/topic.ts'
import { parseTopicFilter } from '../../src/protocol/topic-filter.ts'
import { jsonText } from '../support/json-text.ts'
import { mutated } from '../support/mutated-text.ts'

const COMMANDS = [
  '{"op":"auth","id":1,"token":"dbk_x"}',
  '{"op":"subscribe","id":2,"filters":["ci/**","a/*"],"since":"k3x9:1000"}',
  '{"op":"subscribe","id":"s","filter":"ci/**","since":"earliest"}',
  '{"op":"unsubscribe","id":3,"filters":["ci/**"]}',
  '{"op":"publish","id":4,"topic":"ci/x","event":{"specversion":"1.0","type":"t"}}',
  '{"op":"publish","id":5,"topic":"ci/x","type":"t","data":12345678901234567890}',
  '{"op":"ping","id":6}',
]

const FAULTS = ['COMMAND_INVALID', 'FILTER_INVALID', 'TOPIC_INVALID', 'POSITION_INVALID']

test('any text is a command, a fault of one, or none', () => {
  const text = fc.oneof(
    { weight: 6, arbitrary: mutated(fc.constantFrom(...COMMANDS)) },
    fc.string({ unit: 'binary', maxLength: 60 }),
    jsonText({ lineBreaks: true }),
  )
  fc.assert(
    fc.property(text, (message) => {
      try {
        const command = readCommand(message)
        assert.ok(['auth', 'subscribe', 'unsubscribe', 'publish', 'ping'].includes(command.op))
        if ('filters' in command) {
          for (const filter of command.filters) assert.ok(parseTopicFilter(filter).ok)
        }
        if (command.op === 'publish') {
          assert.ok(command.topic === undefined || parseTopic(command.topic).ok)
        }
      } catch (error) {
        if (error instanceof ProtocolFault) return
        assert.ok(error instanceof CommandFault, String(error))
        assert.ok(FAULTS.includes(error.cause.code), error.cause.code)
      }
    }),
    { numRuns: 4000 },
  )
})

test('the data and the event of a publish keep their text, wherever they stand', () => {
  const name = fc.constantFrom('data', 'event')
  fc.assert(
    fc.property(jsonText({ lineBreaks: true }), name, fc.boolean(), (json, key, isFirst) => {
      const member = `"${key}" :\t${json}`
      const rest = '"op":"publish","id":1,"x":{"data":0,"event":[]}'
      const { op, ...command } = readCommand(
        isFirst ? `{${member} ,${rest}}` : `{${rest},${member}}`,
      )
      assert.ok(op === 'publish' && 'input' in command)
      const { input } = command
      const text = input.kind === 'structured' ? input.text : input.data
      assert.deepEqual(text, key === 'event' ? json : { json })
    }),
    { numRuns: 500 },
  )
})

for (const id of ['9007199254740993', '1.5', '""', 'null', '[]', `"${'x'.repeat(129)}"`]) {
  test(`an id that is ${id.slice(0, 20)} cannot be answered`, () => {
    assert.throws(() => readCommand(`{"op":"ping","id":${id}}`), ProtocolFault)
  })
}

for (const op of ['subscribe', 'unsubscribe']) {
  test(`${op} with both a filter and filters, or neither, is refused as malformed`, () => {
    for (const fields of ['"filter":"a","filters":["a"]', '"x":1']) {
      assert.throws(
        () => readCommand(`{"op":"${op}","id":7,${fields}}`),
        (error) =>
          error instanceof CommandFault && error.id === 7 && error.cause.code === 'COMMAND_INVALID',
      )
    }
  })
}
