import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Subscriber } from 'zeromq'
import { BrokerProcess } from '../support/broker-process.ts'
import { WakeUp } from '../support/wake-up.ts'
import { type PublishStep, publishers } from './crash-publishers.ts'
import { dealerDoor } from './dealer-door.ts'
import { DOORS } from './recovery-doors.ts'
import { ResumingClient } from './resuming-client.ts'

/** Which process is killed, of a broker started with which flags. */
interface Setup {
  readonly name: string
  readonly flags: readonly string[]
  /** Whether no publisher can be spared. */
  readonly stopsPublishing: boolean
  /** @param round - from 1 */
  victim(broker: BrokerProcess, round: number): number | Promise<number>
  /** How often a client of the door has lost its connection after all rounds, at least. */
  losses(door: string): number
}

const ROUNDS = process.env['SOAK'] === undefined ? 4 : 60

/** What the main process holds itself. */
const NOT_HANDED_OVER: readonly string[] = ['long polls', 'DEALER']

const SETUPS: readonly Setup[] = [
  {
    name: 'the broker',
    flags: ['--log-level=warn'],
    stopsPublishing: true,
    victim: ({ pid }) => pid,
    losses: () => ROUNDS,
  },
  {
    name: 'a worker',
    flags: ['--workers=2'],
    stopsPublishing: false,
    // The older of two, once the one before it is replaced: so every stream is hit in one of two rounds.
    victim: async (broker, round) => (await broker.workers(round + 1))[round - 1] ?? broker.pid,
    losses: (door) => (NOT_HANDED_OVER.includes(door) ? 0 : Math.floor(ROUNDS / 2)),
  },
]

/** Steps that each publisher completes before the next kill. */
const STEPS = 10

/** More than is published here: what is trimmed would rightly be told as missed. */
const HISTORY = ['--history-events=10000000', '--history-bytes=8GiB']

/** Lets publishers and subscribers know when the broker is there. */
class Availability {
  readonly #changed = new WakeUp()
  #isUp = true

  set isUp(isUp: boolean) {
    this.#isUp = isUp
    this.#changed.wake()
  }

  async ready(): Promise<void> {
    while (!this.#isUp) await this.#changed.next()
  }
}

/** Publishes step after step; a step that a crash interrupted is done again. */
class Publishing {
  readonly acknowledged = new Map<string, string>()
  readonly #publish: PublishStep
  readonly #availability: Availability
  readonly #changed = new WakeUp()
  #steps = 0
  #repeats = 0
  #isStopped = false

  constructor(publish: PublishStep, availability: Availability) {
    this.#publish = publish
    this.#availability = availability
  }

  get repeats(): number {
    return this.#repeats
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#availability.ready()
      try {
        for (const [name, position] of await this.#publish(this.#steps)) {
          this.acknowledged.set(name, position)
        }
        this.#steps += 1
        this.#changed.wake()
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        this.#repeats += 1
        // Another turn of the loop, in which the test learns that the broker is gone.
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }

  async until(steps: number): Promise<void> {
    while (this.#steps < steps) await this.#changed.next()
  }

  stop(): void {
    this.#isStopped = true
  }
}

/** A SUB socket cannot resume; what it hears must still be in the one order, and nothing twice. */
function listenPlain(endpoint: string, token: string, positions: string[]): Subscriber {
  const credentials = { plainUsername: 'admin', plainPassword: token }
  const socket = new Subscriber({ linger: 0, reconnectInterval: 10, ...credentials })
  socket.subscribe('crash/')
  socket.connect(endpoint)
  const read = async () => {
    for await (const [, event] of socket) positions.push(JSON.parse(String(event)).position)
  }
  read().catch(() => {})
  return socket
}

/** Everything that the log has, in its order. */
async function history({ url }: BrokerProcess, token: string) {
  const events: { readonly position: string; readonly data: string }[] = []
  for (let since = 'earliest'; ; ) {
    const response = await fetch(`${url}/events/crash/**?limit=1000&since=${since}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    const page = (await response.json()) as {
      readonly events: typeof events
      readonly more: boolean
      readonly position: string
    }
    events.push(...page.events)
    if (!page.more) return events
    since = page.position
  }
}

async function killAndRestart(broker: BrokerProcess, victim: number, availability: Availability) {
  if (victim !== broker.pid) {
    process.kill(victim, 'SIGKILL')
    return
  }
  availability.isUp = false
  await broker.kill('SIGKILL')
  await broker.restart()
  availability.isUp = true
}

for (const { name, flags, stopsPublishing, victim, losses } of SETUPS) {
  test(`after ${name} was killed ${ROUNDS} times under load nothing acknowledged is lost, repeated or reordered`, async () => {
    await using broker = await BrokerProcess.start(...HISTORY, ...flags)
    const token = await broker.adminToken()
    const availability = new Availability()
    const ready = () => availability.ready()
    const address = { port: broker.port, token, filter: 'crash/**' }
    const doors = Object.entries({ ...DOORS, DEALER: dealerDoor(broker.zmqSession) })
    const clients = doors.map(([door, open]) => ({
      door,
      client: new ResumingClient(address, open, ready),
    }))
    const heard: string[] = []
    const plain = listenPlain(broker.zmqSubscribe, token, heard)
    const publishings = Object.values(publishers(broker, token)).map(
      (publish) => new Publishing(publish, availability),
    )
    const runs = [...clients.map(({ client }) => client), ...publishings].map((each) => each.run())
    const ended = Promise.all(runs)
    using stopping = new DisposableStack()
    stopping.defer(() => plain.close())
    for (const each of [...clients.map(({ client }) => client), ...publishings]) {
      stopping.defer(() => each.stop())
    }

    for (let round = 1; round <= ROUNDS; round += 1) {
      const steps = publishings.map((publishing) => publishing.until(round * STEPS))
      await Promise.race([Promise.all(steps), ended])
      await killAndRestart(broker, await victim(broker, round), availability)
    }
    for (const publishing of publishings) publishing.stop()
    await Promise.all(runs.slice(clients.length))

    const events = await history(broker, token)
    const positions = events.map(({ position }) => position)
    for (const { acknowledged } of publishings) {
      for (const [event, position] of acknowledged) {
        const found = events.filter(({ data }) => data === event)
        assert.deepEqual(
          found.map((each) => each.position),
          [position],
          event,
        )
      }
    }
    await Promise.all(clients.map(({ client }) => client.until(events.length)))
    for (const { door, client } of clients) {
      assert.deepEqual(client.positions, positions, door)
      assert.ok(client.connections > losses(door), `${door}: ${client.connections} connections`)
    }
    const places = heard.map((position) => positions.indexOf(position))
    assert.ok(heard.length > 0)
    assert.ok(places.every((place, i) => place > (places[i - 1] ?? -1)))
    if (stopsPublishing) assert.ok(publishings.some(({ repeats }) => repeats > 0))

    stopping.dispose()
    await ended
  })
}
