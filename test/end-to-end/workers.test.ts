import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { kill } from 'node:process'
import { describe, it } from 'node:test'
import { BrokerProcess } from '../support/broker-process.ts'
import { TOKENS, USERS_XML } from '../support/gateway.ts'
import { TestSocket } from '../support/test-socket.ts'

function isAlive(processId: number): boolean {
  try {
    return kill(processId, 0)
  } catch {
    return false
  }
}

/** Resolves when the process is gone. */
async function gone(processId: number): Promise<void> {
  while (isAlive(processId)) await new Promise((resolve) => setImmediate(resolve))
}

function wsUrl(broker: BrokerProcess): string {
  return broker.url.replace('http', 'ws')
}

async function publish(broker: BrokerProcess, data: unknown): Promise<string> {
  const response = await fetch(`${broker.url}/events/ci/load`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await broker.adminToken()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(data),
  })
  assert.equal(response.status, 201)
  return ((await response.json()) as { position: string }).position
}

/** A streamed response, open. */
async function streamOf(broker: BrokerProcess, accept: string): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKENS.reader}`, accept }
  const response = await fetch(`${broker.url}/events/**`, { headers })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), accept)
  return response
}

/** A session that comes back to where it was whenever its connection ends. */
class ResumingSession {
  readonly positions: string[] = []
  readonly isLost = Promise.withResolvers<never>()
  resumes = 0
  readonly #broker: BrokerProcess
  #since = 'earliest'
  #isStopped = false
  #socket: TestSocket | undefined
  #changed = Promise.withResolvers<void>()

  constructor(broker: BrokerProcess) {
    this.#broker = broker
    this.isLost.promise.catch(() => {})
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#connect()
      } catch {
        // The broker is on its way back.
      }
    }
  }

  async until(position: string): Promise<void> {
    const reached = async () => {
      while (!this.positions.includes(position)) await this.#changed.promise
    }
    await Promise.race([reached(), this.isLost.promise])
  }

  stop(): void {
    this.#isStopped = true
    this.#socket?.[Symbol.dispose]()
  }

  async #connect(): Promise<void> {
    const token = await this.#broker.adminToken()
    using socket = await TestSocket.open(`${wsUrl(this.#broker)}/ws`, { token })
    this.#socket = socket
    socket.socket.on('message', (text) => this.#take(JSON.parse(String(text))))
    socket.send({ op: 'subscribe', id: 1, filter: 'ci/**', since: this.#since })
    await socket.closed
    this.resumes += 1
  }

  #take(message: Record<string, unknown>): void {
    if (message['type'] === 'EVENTS MISSED') {
      this.isLost.reject(new Error(`missed ${JSON.stringify(message['data'])}`))
    }
    if (!('specversion' in message)) return
    const position = String(message['position'])
    this.#since = position
    this.positions.push(position)
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}

describe('a broker with workers', { concurrency: false }, () => {
  it('loses with a worker only the connections of that worker, and starts another', async () => {
    await using broker = await BrokerProcess.start('--workers=2')
    const [first, second] = await broker.workers(2)
    const token = TOKENS.reader
    const open = () => TestSocket.open(`${wsUrl(broker)}/ws`, { token })
    const sockets = [await open(), await open(), await open(), await open()]
    for (const socket of sockets) await socket.wait(({ op }) => op === 'welcome')
    kill(first, 'SIGKILL')
    const closed = await Promise.race(sockets.map(async (each) => (await each.closed).code))
    assert.equal(closed, 1006)
    await gone(first)
    // Those that the other worker holds still answer.
    const answers = await Promise.allSettled(sockets.map((each) => each.ask({ op: 'ping' })))
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 2)
    assert.ok(second !== undefined && isAlive(second))
    const third = (await broker.workers(3))[2]
    assert.ok(third !== undefined)
    const late = [await open(), await open()]
    for (const socket of late) await socket.wait(({ op }) => op === 'welcome')
    kill(third, 'SIGKILL')
    assert.equal(await Promise.race(late.map(async (each) => (await each.closed).code)), 1006)
    for (const socket of [...sockets, ...late]) socket[Symbol.dispose]()
  })

  it('loses and doubles nothing when workers and broker are killed under load', async () => {
    await using broker = await BrokerProcess.start('--workers=2')
    const sessions = Array.from({ length: 8 }, () => new ResumingSession(broker))
    const runs = sessions.map((session) => session.run())
    const acknowledged: string[] = []
    for (let round = 0; round < 6; round += 1) {
      for (let n = 0; n < 50; n += 1) acknowledged.push(await publish(broker, { round, n }))
      if (round === 3) {
        const workers = await broker.workers(2)
        await broker.kill('SIGKILL')
        // They end with their parent, so that nobody listens to what no longer comes.
        for (const worker of workers) await gone(worker)
        await broker.restart()
      } else {
        const worker = (await broker.workers(2)).filter(isAlive)[round % 2]
        if (worker !== undefined) kill(worker, 'SIGKILL')
      }
    }
    acknowledged.push(await publish(broker, 'last'))
    const last = acknowledged.at(-1) ?? ''
    await Promise.all(sessions.map((session) => session.until(last)))
    for (const { positions } of sessions) assert.deepEqual(positions, acknowledged)
    assert.ok(sessions.some(({ resumes }) => resumes > 1))
    for (const session of sessions) session.stop()
    await Promise.all(runs)
  })

  it('holds streamed responses too, which are cut off with their worker', async () => {
    await using broker = await BrokerProcess.start('--workers=1')
    const [worker] = await broker.workers(1)
    const events = await streamOf(broker, 'text/event-stream')
    const lines = await streamOf(broker, 'application/x-ndjson')
    await publish(broker, 'told')
    const [reader, eventReader] = [lines.body?.getReader(), events.body?.getReader()]
    const text = async (from: typeof reader) =>
      Buffer.from((await from?.read())?.value ?? []).toString()
    assert.match(await text(reader), /"data":"told".*\}\n$/)
    let told = ''
    while (!/\ndata: .*"data":"told"/.test(told)) told += await text(eventReader)
    kill(worker, 'SIGKILL')
    // A reader must be able to tell a broken stream from one that ended.
    await assert.rejects(async () => reader?.read())
    await assert.rejects(async () => eventReader?.read())
  })

  it('takes a right away from a connection that a worker holds', async () => {
    await using broker = await BrokerProcess.start('--workers=1')
    using reader = await TestSocket.open(`${wsUrl(broker)}/ws`, { token: TOKENS.reader })
    using dashboard = await TestSocket.open(`${wsUrl(broker)}/events/ci/**`, {
      token: TOKENS.dashboard,
    })
    await reader.ask({ op: 'subscribe', filter: 'ci/**' })
    const users = USERS_XML.replace(/ {2}<user name="reader".*\n/, '')
    await writeFile(join(broker.directory, 'config/broker_users.xml'), users)
    assert.equal((await reader.closed).code, 4401)
    await publish(broker, 'still here')
    await dashboard.waitEvents(1)
  })

  it('drains on SIGTERM: clients are told to come back and no process stays', async () => {
    await using broker = await BrokerProcess.start('--workers=2')
    const workers = await broker.workers(2)
    const token = TOKENS.reader
    using session = await TestSocket.open(`${wsUrl(broker)}/ws`, { token })
    using stream = await TestSocket.open(`${wsUrl(broker)}/events/**`, { token })
    const lines = await streamOf(broker, 'application/x-ndjson')
    await session.wait(({ op }) => op === 'welcome')
    // A terminal signals the whole group: the workers leave that to the broker.
    for (const worker of workers) kill(worker, 'SIGTERM')
    assert.ok(await session.ask({ op: 'ping' }))
    const code = broker.kill('SIGTERM')
    const closing = await session.wait(({ op }) => op === 'closing')
    assert.equal(closing['reason'], 'restart')
    assert.equal((await session.closed).code, 1012)
    assert.equal((await stream.closed).code, 1012)
    // Ended as a response ends, not cut off.
    assert.equal(await lines.text(), '')
    assert.equal(await code, 0)
    for (const worker of workers) await gone(worker)
  })
})

it('a number of workers that is none is refused with the rule', async () => {
  await assert.rejects(BrokerProcess.start('--workers=many'), /--workers: must be 0 to 256/)
  await assert.rejects(BrokerProcess.start('--workers=257'), /--workers: must be 0 to 256/)
  const page = await readFile(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
  assert.match(page, /--workers/)
})
