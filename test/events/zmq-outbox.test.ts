import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Sender, ZmqOutbox } from '../../src/events/zmq/zmq-outbox.ts'

const ROUTE = Buffer.from('peer')

function errno(code: string): Error {
  return Object.assign(new Error(code), { code })
}

/** Takes `room` messages, then refuses as libzmq does. */
class FakeSocket implements Sender {
  readonly taken: string[] = []
  room = Number.POSITIVE_INFINITY
  isGone = false

  async send(frames: (string | Buffer)[]): Promise<void> {
    if (this.isGone) throw errno('EHOSTUNREACH')
    if (this.room === 0) throw errno('EAGAIN')
    this.room -= 1
    assert.equal(frames[0], ROUTE)
    this.taken.push(frames.slice(1).map(String).join(' '))
  }
}

function outboxOn(socket: Sender, onGone = () => {}): ZmqOutbox {
  return new ZmqOutbox(socket, ROUTE, onGone)
}

const reply = (text: string) => ({ isEvent: false, frames: [text] })
const event = (text: string) => ({ isEvent: true, frames: ['EVENT', text] })

function drained(outbox: ZmqOutbox): Promise<void> {
  return new Promise((resolve) => outbox.onceDrained(resolve))
}

describe('an outbox', () => {
  it('sends in order and counts what is not taken yet', async () => {
    const socket = new FakeSocket()
    const outbox = outboxOn(socket)
    for (let i = 0; i < 1000; i += 1) outbox.send(reply(`${i}`.padStart(4, '0')))
    assert.equal(outbox.bytes, 4000)
    await drained(outbox)
    assert.equal(outbox.bytes, 0)
    assert.deepEqual(
      socket.taken.map(Number),
      Array.from({ length: 1000 }, (_, i) => i),
    )
  })

  it('keeps what the socket does not take, and sends it once when there is room', async () => {
    const socket = new FakeSocket()
    socket.room = 2
    const outbox = outboxOn(socket)
    for (const text of ['a', 'b', 'c', 'd']) outbox.send(reply(text))
    await nextTurn()
    assert.deepEqual(socket.taken, ['a', 'b'])
    assert.equal(outbox.bytes, 2)
    socket.room = 10
    await drained(outbox)
    assert.deepEqual(socket.taken, ['a', 'b', 'c', 'd'])
  })

  it('takes back events and no replies', async () => {
    const socket = new FakeSocket()
    socket.room = 0
    const outbox = outboxOn(socket)
    outbox.send(event('1'))
    outbox.send(reply('r'))
    outbox.send(event('2'))
    // The first is with the socket just now, and is refused after this.
    outbox.dropEvents()
    await nextTurn()
    assert.equal(outbox.bytes, 1)
    socket.room = 10
    await drained(outbox)
    assert.deepEqual(socket.taken, ['r'])
  })

  it('is drained when all that waited is taken back', async () => {
    const socket = new FakeSocket()
    socket.room = 0
    const outbox = outboxOn(socket)
    outbox.send(event('1'))
    await nextTurn()
    const isDrained = drained(outbox)
    outbox.dropEvents()
    await isDrained
  })

  it('ends when its peer is gone, and says so once', async () => {
    const socket = new FakeSocket()
    socket.isGone = true
    let gone = 0
    const outbox = outboxOn(socket, () => {
      gone += 1
    })
    outbox.send(reply('a'))
    outbox.send(reply('b'))
    await drained(outbox)
    outbox.send(reply('c'))
    await nextTurn()
    assert.equal(gone, 1)
    assert.equal(outbox.bytes, 0)
  })

  it('lets go of who waits for it when it is closed', async () => {
    const socket = new FakeSocket()
    socket.room = 0
    const outbox = outboxOn(socket)
    outbox.send(reply('a'))
    const isDrained = drained(outbox)
    outbox.close()
    await isDrained
    socket.room = 10
    await nextTurn()
    assert.deepEqual(socket.taken, [])
  })

  it('does not keep the loop while a fast peer takes everything', async () => {
    const outbox = outboxOn(new FakeSocket())
    for (let i = 0; i < 5000; i += 1) outbox.send(reply('x'))
    await nextTurn()
    assert.ok(outbox.bytes > 0)
    await drained(outbox)
  })
})
