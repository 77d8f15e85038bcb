import assert from 'node:assert/strict'
import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { Connections } from '../../src/events/delivery/connections.ts'
import { httpPage } from '../../src/events/http/http-page.ts'
import type { LogQuery } from '../../src/events/log/event-log.ts'
import { MemoryEventLog } from '../../src/events/log/memory-event-log.ts'
import { draft } from '../support/events.ts'
import { ALL, FakeIdentities } from './zmq-fixture.ts'

function ofTester(): FakeIdentities {
  return new FakeIdentities().add('tester', 'tester-token', ALL)
}

function logOf(events: number): MemoryEventLog {
  const budget = { events, bytes: Infinity, ageMs: Infinity }
  return new MemoryEventLog({ budget, epoch: 'e1', now: () => 1000 })
}

function publish(log: MemoryEventLog, count: number, padding = '') {
  return log.append(Array.from({ length: count }, (_, i) => draft('a', `${i}${padding}`)))
}

function requestOf(query: string): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { url: `/events/a?${query}` })
}

function connectionsOf(identities = ofTester()): Connections {
  const limits = { perUser: 10, perAddress: 10 }
  return new Connections({ renew: (principal) => identities.renew(principal), limits })
}

async function pageOf(log: MemoryEventLog, raw: IncomingMessage, open = connectionsOf()) {
  using connections = open
  const principal = ofTester().authenticate('tester-token', 'test')
  const body = await httpPage({ log, connections }, { raw, principal, ip: '127.0.0.1' })
  assert.equal(connections.size, 0)
  return JSON.parse(body.toString())
}

function positionsOf(events: readonly { readonly position: string }[]): string[] {
  return events.map(({ position }) => position)
}

test('a long poll tells what was trimmed before it was answered', async ({ mock }) => {
  const log = logOf(3)
  const { promise: waits, resolve } = Promise.withResolvers<void>()
  const { onCommit } = log
  mock.method(log, 'onCommit', (listener: Parameters<typeof onCommit>[0]) => {
    resolve()
    return onCommit.call(log, listener)
  })
  const asked = pageOf(log, requestOf('since=latest&wait=60'))
  await waits
  await publish(log, 5)
  const page = await asked
  assert.equal(page.complete, false)
  assert.deepEqual(positionsOf(page.events), ['e1:2', 'e1:3', 'e1:4', 'e1:5'])
  const [gap] = page.events
  assert.equal(gap.type, 'EVENTS MISSED')
  assert.deepEqual(gap.data, { since: 'e1:0', resumed: 'e1:2', reason: 'trimmed' })
})

test('a page tells in its place what was trimmed while it was read', async ({ mock }) => {
  const log = logOf(4)
  await publish(log, 4, 'x'.repeat(300_000))
  const { read } = log
  const reads = mock.method(log, 'read', async (query: LogQuery) => {
    // A read ends after a mebibyte.
    if (reads.mock.callCount() === 1) await publish(log, 3)
    return read.call(log, query)
  })
  const page = await pageOf(log, requestOf('since=e1:0'))
  assert.equal(page.complete, false)
  const types = page.events.map(({ type }: { type?: string }) => type ?? 'event')
  assert.deepEqual(types, ['event', 'event', 'EVENTS MISSED', 'event'])
  assert.deepEqual(positionsOf(page.events), ['e1:1', 'e1:2', 'e1:3', 'e1:4'])
  const next = await pageOf(log, requestOf(`since=${page.position}`))
  assert.deepEqual(positionsOf(next.events), ['e1:5', 'e1:6', 'e1:7'])
})

test('a client that is gone before its wait begins is not waited for', async () => {
  const request = requestOf('since=latest&wait=60')
  request.socket.destroy()
  await once(request.socket, 'close')
  const page = await pageOf(logOf(3), request)
  assert.deepEqual(page.events, [])
})

test('a credential that is removed before a long poll waits ends it', async ({ mock }) => {
  const log = logOf(3)
  await publish(log, 1)
  const identities = ofTester()
  const connections = connectionsOf(identities)
  const { read } = log
  mock.method(log, 'read', (query: LogQuery) => {
    identities.remove('tester-token')
    connections.judgeAll()
    return read.call(log, query)
  })
  const raw = Object.assign(requestOf(''), { url: '/events/b?since=e1:0&wait=60' })
  await assert.rejects(pageOf(log, raw, connections), { code: 'CREDENTIAL_INVALID' })
})
