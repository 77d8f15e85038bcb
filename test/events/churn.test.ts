import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../support/broker-process.ts'
import type { Held, Started } from './churn-broker.ts'
import { MANNERS, VISITS } from './churn-visitors.ts'

const EACH = 6
const VISITORS = Object.keys(VISITS).length * MANNERS.length * EACH

/** The first ones fill caches and let code be compiled. */
const WARM_ROUNDS = 2

const WAYS = [
  { name: 'the broker keeps', workers: 0, rounds: process.env['SOAK'] === undefined ? 4 : 40 },
  {
    ...{ name: 'the broker and its two workers keep', workers: 2 },
    rounds: process.env['SOAK'] === undefined ? 2 : 20,
  },
]

/** A visitor that stayed would cost several kilobytes; a heap differs by some hundred from look to look. */
const MOST_BYTES_EACH = 2048

/** Looks until a visitor that left must be gone; each collects the garbage, which takes its time. */
const MOST_LOOKS = 60

async function measured(child: ChildProcess): Promise<Held> {
  child.send('measure')
  const [held] = await once(child, 'message')
  return held
}

async function publish({ url, token }: Started, lines: readonly string[]): Promise<void> {
  const response = await fetch(`${url}/events/churn/x`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/x-ndjson',
      connection: 'close',
    },
    body: lines.join('\n'),
  })
  assert.equal(response.status, 201)
}

async function connections({ url, token }: Started): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, connection: 'close' }
  const text = await (await fetch(`${url}/metrics`, { headers })).text()
  return Number(/^databroker_connections (\d+)$/m.exec(text)?.[1])
}

/** Everybody comes, hears something and leaves. */
async function round(broker: Started): Promise<void> {
  const visits = Object.values(VISITS).flatMap((visit) =>
    MANNERS.flatMap((manner) => Array.from({ length: EACH }, () => visit(broker, manner))),
  )
  const leaves = await Promise.all(visits)
  await publish(broker, ['"live"'])
  const open = await connections(broker)
  // Those that are counted, without SUB sockets and whoever is gone by now.
  assert.ok(open > VISITORS / 3, `${open} connections are open`)
  await Promise.all(leaves.map((leave) => leave()))
}

/** Looks until nothing is held that was not before. */
async function settled(child: ChildProcess, before: Held): Promise<Held> {
  for (let looks = 1; ; looks += 1) {
    const held = await measured(child)
    const isSettled = Object.entries(held.counts).every(
      ([name, count]) => count <= (before.counts[name] ?? 0),
    )
    if (isSettled) return held
    if (looks === MOST_LOOKS) assert.deepEqual(held.counts, before.counts)
  }
}

for (const { name, workers, rounds } of WAYS) {
  test(`of ${rounds * VISITORS} visitors, however they leave, ${name} nothing`, async () => {
    const child = fork(join(ROOT, 'test/events/churn-broker.ts'), [String(workers)], {
      execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
    })
    try {
      const [broker] = (await once(child, 'message')) as [Started]
      // More than a socket takes at once, so that whoever does not read has a backlog.
      const long = JSON.stringify('x'.repeat(1000))
      for (let i = 0; i < 3; i += 1)
        await publish(
          broker,
          Array.from({ length: 3000 }, () => long),
        )
      const empty = await measured(child)
      // The feeds of the workers are one, as soon as they have caught up.
      const before = { ...empty, counts: { ...empty.counts, Audience: Math.min(workers, 1) } }
      for (let i = 0; i < WARM_ROUNDS; i += 1) await round(broker)
      const warm = await settled(child, before)
      for (let i = 0; i < rounds; i += 1) await round(broker)
      const end = await settled(child, before)
      assert.equal(await connections(broker), 0)
      const grown = (end.heapBytes - warm.heapBytes) / (rounds * VISITORS)
      assert.ok(grown < MOST_BYTES_EACH, `each visitor leaves ${Math.round(grown)} bytes`)
    } finally {
      const exited = once(child, 'exit')
      child.disconnect()
      await exited
    }
  })
}
