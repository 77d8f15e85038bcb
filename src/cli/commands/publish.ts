import { buffer } from 'node:stream/consumers'
import { JsonText, type PublishAck } from '../../client/index.ts'
import { CLIENT_OPTIONS, openSession } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import { publishLines } from '../publish-lines.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'

export const publish = defineCommand({
  usage: 'broker publish TOPIC [DATA|-]',
  summary: 'Publishes an event with DATA, with what comes on stdin for -, or without data.',
  details: `Data that is JSON is sent as JSON with its text unchanged, other text as text, bytes as base64.
Prints the position of the event. With --ndjson each line of stdin is an event: a CloudEvent
if it has specversion, else the data of one.`,
  options: {
    type: { type: 'string', value: 'TYPE', help: 'type of the event; default message' },
    id: { type: 'string', value: 'ID', help: 'the same id again is published once' },
    source: { type: 'string', value: 'URI', help: 'source of the event; default /users/NAME' },
    ndjson: { type: 'boolean', help: 'publish every line of stdin' },
    ...CLIENT_OPTIONS,
  },
  positionals: [1, 2],
  async run({ options, positionals }, terminal) {
    const [topic = '', argument] = positionals
    const { type, id, source, ndjson = false, json = false } = options
    if (ndjson && (id !== undefined || source !== undefined)) {
      throw new UsageError('--id and --source are for one event, not for --ndjson')
    }
    if (ndjson && argument !== undefined && argument !== '-') {
      throw new UsageError('--ndjson reads stdin: give no DATA')
    }
    const { client, signal } = await openSession(options, terminal)
    const print = async (acks: readonly PublishAck[]) => {
      for (const ack of acks) await terminal.output.line(json ? JSON.stringify(ack) : ack.position)
    }
    if (ndjson) {
      const send = (lines: readonly string[]) =>
        client.events.publishLines(topic, lines, { type, signal })
      await publishLines(terminal.stdin, send, print)
      return 0
    }
    const { data, datacontenttype } = await dataOf(argument, terminal)
    const attributes = { type, id, source, datacontenttype, signal }
    await print([await client.events.publish(topic, data, attributes)])
    return 0
  },
})

interface Data {
  readonly data?: unknown
  readonly datacontenttype?: string
}

async function dataOf(argument: string | undefined, terminal: Terminal): Promise<Data> {
  if (argument === undefined) return {}
  return argument === '-' ? dataOfBytes(await buffer(terminal.stdin)) : dataOfText(argument)
}

export function dataOfBytes(bytes: Uint8Array): Data {
  try {
    // Without ignoreBOM the text would not be what came.
    return dataOfText(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    return { data: bytes }
  }
}

export function dataOfText(text: string): Data {
  try {
    return { data: new JsonText(text) }
  } catch {
    return { data: text, datacontenttype: 'text/plain' }
  }
}
