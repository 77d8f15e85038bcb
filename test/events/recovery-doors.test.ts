import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { FAULTS, type FaultPlan, FaultProxy } from '../support/fault-proxy.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/nginx.ts'
import { dealerDoor } from './dealer-door.ts'
import { DOORS } from './recovery-doors.ts'
import { ResumingClient } from './resuming-client.ts'

const DROPS = process.env['SOAK'] === undefined ? 1000 : 10_000
const CLIENTS_PER_DOOR = 3

/** They have a proxy of their own: more than can be frozen in it at once, so that faults go on. */
const DEALERS = 8

const FILTER = 'doors/**'
const TOPICS = ['doors/a', 'doors/a/b', 'doors/c']

/** Publishes a few events in one of the ways there are; returns their positions. */
async function publish(broker: TestGateway, number: number): Promise<string[]> {
  const topic = TOPICS[randomInt(TOPICS.length)]
  const post = async (contentType: string, body: string) => {
    const init = { method: 'POST', body, headers: { 'content-type': contentType } }
    const response = await broker.request(`/events/${topic}`, { ...init, as: 'admin' })
    assert.ok(response.ok, String(response.status))
    return response.json()
  }
  if (randomInt(4) > 0) {
    const lines = Array.from({ length: 1 + randomInt(12) }, (_, i) =>
      JSON.stringify({ number, i, text: 'é'.repeat(randomInt(200)) }),
    )
    const receipts = (await post('application/x-ndjson', lines.join('\n'))) as Receipt[]
    return receipts.map(({ position }) => position)
  }
  const event = { specversion: '1.0', type: 't', id: `n${number}`, source: '/test', data: number }
  const type = 'application/cloudevents+json'
  const first = (await post(type, JSON.stringify(event))) as Receipt
  const again = (await post(type, JSON.stringify(event))) as Receipt
  assert.deepEqual(again, { ...first, duplicate: true })
  return [first.position]
}

interface Receipt {
  readonly position: string
  readonly duplicate: boolean
}

function plan(): FaultPlan {
  return {
    fault: FAULTS[randomInt(FAULTS.length)] ?? 'reset',
    afterBytes: 1 + randomInt(randomInt(4) === 0 ? 600 : 12_000),
    latencyMs: randomInt(3) === 0 ? 3 : 0,
  }
}

const WAYS = [
  { name: 'in one process', workers: '0', drops: DROPS },
  { name: 'with two workers', workers: '2', drops: DROPS / 2 },
]

for (const { name, workers, drops } of WAYS) {
  test(`${name}, after ${drops} drops every client of every door has every event once and in order`, async () => {
    const sessionPort = await freePort()
    const zmqSession = `tcp://127.0.0.1:${sessionPort}`
    await using broker = await startGateway({ workers, zmqSession })
    await using proxy = await FaultProxy.start(Number(new URL(broker.url).port), plan)
    await using dealerProxy = await FaultProxy.start(sessionPort, plan)
    const address = { port: proxy.port, token: broker.adminToken, filter: FILTER }
    const dealer = dealerDoor(`tcp://127.0.0.1:${dealerProxy.port}`)
    const clients = [
      ...Object.entries(DOORS).flatMap((door) =>
        Array.from({ length: CLIENTS_PER_DOOR }, () => door),
      ),
      ...Array.from({ length: DEALERS }, () => ['DEALER', dealer] as const),
    ].map(([door, open]) => ({ door, client: new ResumingClient(address, open) }))
    const runs = clients.map(({ client }) => client.run())
    const published: string[] = []
    for (let number = 0; proxy.faults < drops || dealerProxy.faults < drops / 2; number += 1) {
      published.push(...(await publish(broker, number)))
    }
    proxy.heal()
    dealerProxy.heal()
    published.push(...(await publish(broker, -1)))
    await Promise.all(clients.map(({ client }) => client.until(published.length)))
    for (const { door, client } of clients) assert.deepEqual(client.positions, published, door)
    for (const { client } of clients) client.stop()
    await Promise.all(runs)
  })
}
