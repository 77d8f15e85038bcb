import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { BrokerBehindNginx } from '../support/broker-process.ts'
import { TOKENS } from '../support/gateway.ts'
import { HealthyClient } from '../support/healthy-client.ts'
import { NGINX_MISSING } from '../support/nginx.ts'
import { open, statusesIn } from '../support/raw-http.ts'

/** A connection that never gets on with its request, and what it is told. */
class SlowConnection implements Disposable {
  readonly socket: Socket
  text = ''
  readonly closed: Promise<void>
  readonly #timer: NodeJS.Timeout | undefined

  constructor(port: number, opening: string, drop: string) {
    this.socket = open(port, '127.0.0.2')
    this.socket.on('data', (chunk) => {
      this.text += chunk
    })
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()))
    this.socket.write(opening)
    this.#timer = setInterval(() => this.socket.writable && this.socket.write(drop), 500)
    this.socket.once('close', () => clearInterval(this.#timer))
  }

  get isOpen(): Promise<void> {
    if (!this.socket.connecting) return Promise.resolve()
    return new Promise((resolve) => this.socket.once('connect', () => resolve()))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.socket.destroy()
  }
}

const HEADERS = 'POST /events/ci/jenkins/slow HTTP/1.1\r\nHost: broker\r\nX-Slow: '
const BODY =
  `POST /events/ci/jenkins/slow HTTP/1.1\r\nHost: broker\r\nAuthorization: Bearer ${TOKENS.jenkins}\r\n` +
  'Content-Length: 16000000\r\n\r\n'

test('a thousand slow connections keep nobody else from being served, and end', {
  skip: NGINX_MISSING,
}, async (t) => {
  await using front = await BrokerBehindNginx.start()
  using slow = new DisposableStack()
  const ports = [front.broker.port, Number(new URL(front.url).port)]
  const start = (count: number, opening: string) =>
    ports.flatMap((port) =>
      Array.from({ length: count }, () => slow.use(new SlowConnection(port, opening, 'x'))),
    )
  await new HealthyClient(ports, TOKENS.jenkins).during(t, async () => {
    const headers = start(250, HEADERS)
    const bodies = start(250, BODY)
    await Promise.all([...headers, ...bodies].map(({ isOpen }) => isOpen))
    // Header fields have a time, whatever trickles in; both doors end each that takes longer.
    await Promise.all(headers.map(({ closed }) => closed))
    const ofBroker = headers.filter(({ text }) => text !== '')
    assert.ok(ofBroker.length > 0)
    for (const { text } of ofBroker) assert.deepEqual(statusesIn(text), [408], text)
    // A body has a longer one, which a test of its own holds: what is dribbled here is still waited for.
    assert.deepEqual(
      bodies.filter(({ text }) => text !== '').map(({ text }) => text),
      [],
    )
  })
})

test('more connections than one address may have are refused, and other addresses are served', {
  skip: NGINX_MISSING,
}, async (t) => {
  await using front = await BrokerBehindNginx.start()
  using flood = new DisposableStack()
  const port = Number(new URL(front.url).port)
  const one = () => flood.use(new SlowConnection(port, BODY, 'x'))
  await new HealthyClient([port], TOKENS.jenkins).during(t, async () => {
    // The limit of the front is 1,024; which of them come first is nobody's to say.
    const all = Array.from({ length: 1064 }, one)
    const refused = () => all.filter(({ text }) => text.includes('TOO_MANY_REQUESTS'))
    while (refused().length < 40) await new Promise((resolve) => setImmediate(resolve))
    for (const { text } of refused()) assert.deepEqual(statusesIn(text), [429])
    assert.equal(refused().length, 40)
  })
})
