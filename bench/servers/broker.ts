import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './ports.ts'
import { ServerProcess, serverDirectory } from './server-process.ts'

export const BROKER_COMMAND = fileURLToPath(new URL('../../bin/broker.js', import.meta.url))

/** Those of the first line of the command. */
const COMMAND_FLAGS = ['--max-semi-space-size=8']

/** Tokens of the two users of the bench. */
export const PRODUCER_TOKEN = 'dbk_producer-of-the-bench-0000000000000000'
export const CONSUMER_TOKEN = 'dbk_consumer-of-the-bench-0000000000000000'

/** What PLAIN takes with the token. */
export const CONSUMER_NAME = 'consumer'

export const PRODUCER: Readonly<Record<string, string>> = {
  authorization: `Bearer ${PRODUCER_TOKEN}`,
}
export const CONSUMER: Readonly<Record<string, string>> = {
  authorization: `Bearer ${CONSUMER_TOKEN}`,
}

export const BENCH_USERS = `<?xml version="1.0" encoding="UTF-8"?>
<broker-users version="1">
  <role name="administrator">
    <allow actions="administer observe"/>
  </role>
  <role name="producer">
    <allow actions="publish" topics="bench/**"/>
    <allow actions="list read create replace delete" files="bench/**"/>
  </role>
  <role name="consumer">
    <allow actions="subscribe" topics="bench/**"/>
    <allow actions="subscribe" topics="files/bench/**"/>
    <allow actions="list read" files="bench/**"/>
  </role>
  <user name="admin" roles="administrator"/>
  <user name="producer" roles="producer"><token id="producer-1" sha256="${sha256(PRODUCER_TOKEN)}"/></user>
  <user name="${CONSUMER_NAME}" roles="consumer"><token id="consumer-1" sha256="${sha256(CONSUMER_TOKEN)}"/></user>
</broker-users>
`

export interface RunningBroker {
  readonly process: ServerProcess
  readonly host: string
  /** 0 on a unix socket. */
  readonly port: number
  /** Of XPUB, which tells the events of the bench to its consumer. */
  readonly zmqSubscribePort: number
  /** Of ROUTER. */
  readonly zmqSessionPort: number
  /** The settings that it was started with, but for its ZeroMQ endpoints. */
  readonly flags: readonly string[]
}

export interface BrokerOptions {
  readonly flags?: readonly string[]
  readonly isUnixSocket?: boolean
  /** The content of the users file. */
  readonly users?: string
}

/** Starts the broker as a user does, with default settings but for addresses and directories. */
export async function startBroker(options: BrokerOptions = {}): Promise<RunningBroker> {
  const directory = await serverDirectory()
  const users = join(directory, 'broker_users.xml')
  await writeFile(users, options.users ?? BENCH_USERS)
  const listen = options.isUnixSocket ? `unix:${directory}/broker.sock` : '127.0.0.1:0'
  const flags = [
    ...['--listen', listen, '--data', join(directory, 'data'), '--users', users],
    ...(options.flags ?? []),
  ]
  const [zmqSubscribePort, zmqSessionPort] = [await freePort(), await freePort()]
  const zmq = [
    ...['--zmq-subscribe', `tcp://127.0.0.1:${zmqSubscribePort}?filter=bench/**`],
    ...['--zmq-session', `tcp://127.0.0.1:${zmqSessionPort}`],
  ]
  const command = [...COMMAND_FLAGS, ...nodeFlags(), BROKER_COMMAND, 'serve', ...flags, ...zmq]
  const process = await ServerProcess.start(directory, globalThis.process.execPath, command)
  const port = await process.ready(async () => {
    const output = await readFile(join(directory, 'output.log'), 'utf8')
    const address = /Data Broker on (?:unix:|http:\/\/127\.0\.0\.1:)(\S+)/.exec(output)?.[1]
    if (address === undefined) return undefined
    return options.isUnixSocket ? 0 : Number(address)
  })
  return { process, host: '127.0.0.1', port, zmqSubscribePort, zmqSessionPort, flags }
}

/** The offset that the log of the broker has come to. */
export async function headOf({ port }: RunningBroker): Promise<number> {
  const url = `http://127.0.0.1:${port}/events/bench/**?since=latest`
  const answer = await fetch(url, { headers: CONSUMER })
  const { position } = (await answer.json()) as { readonly position: string }
  return Number(position.split(':')[1])
}

/** For a look inside the broker: `BENCH_NODE_FLAGS="--cpu-prof --cpu-prof-dir=/tmp/profile"`. */
function nodeFlags(): readonly string[] {
  return (globalThis.process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter(Boolean)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
