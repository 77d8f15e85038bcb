import assert from 'node:assert/strict'
import { Dealer } from 'zeromq'
import type { BrokerProcess } from '../support/broker-process.ts'
import { TestSocket } from '../support/test-socket.ts'

/** What the broker has acknowledged: the name that an event has in its data, and its position. */
export type Acknowledged = readonly (readonly [name: string, position: string])[]

/**
 * Publishes the events of step `n`, the same ones each time it is asked for that step, and resolves when
 * all are acknowledged. Rejects when the connection breaks: what was acknowledged before it does not count.
 */
export type PublishStep = (step: number) => Promise<Acknowledged>

interface Receipt {
  readonly position: string
}

const TOPICS = ['crash/a', 'crash/a/b', 'crash/c']

/** One of each way in; every event has an id, so that a repeat after a crash is the same event. */
export function publishers(
  broker: BrokerProcess,
  token: string,
): Readonly<Record<string, PublishStep>> {
  return {
    'HTTP single': (step) => publishSingle(broker.url, token, step),
    'HTTP lines': (step) => publishLines(broker.url, token, step),
    WebSocket: (step) => publishOverWebSocket(broker.url, token, step),
    ZeroMQ: (step) => publishOverZmq(broker.zmqSession, token, step),
  }
}

function topicOf(step: number): string {
  return TOPICS[step % TOPICS.length] ?? ''
}

async function post(url: string, token: string, step: number, type: string, body: string) {
  const response = await fetch(`${url}/events/${topicOf(step)}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': type },
    body,
  })
  assert.ok(response.ok, `${response.status}`)
  return response.json()
}

function event(name: string): string {
  return JSON.stringify({ specversion: '1.0', type: 't', id: name, source: '/crash', data: name })
}

async function publishSingle(url: string, token: string, step: number): Promise<Acknowledged> {
  const name = `single-${step}`
  const type = 'application/cloudevents+json'
  const { position } = (await post(url, token, step, type, event(name))) as Receipt
  return [[name, position]]
}

async function publishLines(url: string, token: string, step: number): Promise<Acknowledged> {
  const names = Array.from({ length: 1 + (step % 20) }, (_, i) => `lines-${step}-${i}`)
  const body = names.map(event).join('\n')
  const receipts = (await post(url, token, step, 'application/x-ndjson', body)) as Receipt[]
  assert.equal(receipts.length, names.length)
  return names.map((name, i) => [name, receipts[i]?.position ?? ''])
}

async function publishOverWebSocket(
  url: string,
  token: string,
  step: number,
): Promise<Acknowledged> {
  using socket = await TestSocket.open(`${url.replace('http', 'ws')}/ws`, { token })
  const names = Array.from({ length: 20 }, (_, i) => `ws-${step}-${i}`)
  const ask = async (name: string) => {
    const command = { op: 'publish', topic: topicOf(step), event: JSON.parse(event(name)) }
    const { op, position } = await socket.ask(command)
    assert.equal(op, 'ok')
    return [name, String(position)] as const
  }
  return await Promise.all(names.map(ask))
}

async function publishOverZmq(
  endpoint: string,
  token: string,
  step: number,
): Promise<Acknowledged> {
  const socket = new Dealer({ linger: 0, reconnectInterval: -1 })
  socket.events.on('disconnect', () => socket.close())
  socket.events.on('connect:retry', () => socket.close())
  socket.connect(endpoint)
  try {
    const names = Array.from({ length: 20 }, (_, i) => `zmq-${step}-${i}`)
    for (const name of names) {
      const attributes = JSON.stringify({ id: name, source: '/crash' })
      await socket.send(['PUBLISH', token, topicOf(step), JSON.stringify(name), attributes])
    }
    const acknowledged: [string, string][] = []
    for (const name of names) {
      const [verb, receipt] = await socket.receive()
      assert.equal(String(verb), 'OK', String(receipt))
      acknowledged.push([name, JSON.parse(String(receipt)).position])
    }
    return acknowledged
  } finally {
    if (!socket.closed) socket.close()
  }
}
