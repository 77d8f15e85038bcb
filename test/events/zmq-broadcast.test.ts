import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type BroadcastSocket, ZmqBroadcast } from '../../src/events/zmq/zmq-broadcast.ts'
import { zeroCounters } from '../../src/events/zmq/zmq-report.ts'
import type { Topic } from '../../src/protocol/topic.ts'
import { FakeLogger } from './zmq-fixture.ts'

/** Takes `room` messages, then refuses or leaves the full subscriber out, as libzmq does. */
class FakeSocket implements BroadcastSocket {
  readonly taken: number[] = []
  readonly topicCount = 1
  closed = false
  room = Number.POSITIVE_INFINITY
  refusals = 0

  async send([_topic, json]: [string, Buffer]): Promise<void> {
    if (this.room === 0) {
      this.refusals += 1
      throw Object.assign(new Error('full'), { code: 'EAGAIN' })
    }
    this.room -= 1
    this.taken.push(Number(json))
  }

  sendToReady(frames: [string, Buffer]): Promise<void> {
    this.room = Number.POSITIVE_INFINITY
    return this.send(frames)
  }

  close(): void {
    this.closed = true
  }

  async hasTaken(count: number): Promise<void> {
    while (this.taken.length < count) await nextTurn()
  }
}

function startBroadcast() {
  const [socket, logger, counters] = [new FakeSocket(), new FakeLogger(), zeroCounters()]
  const broadcast = new ZmqBroadcast(socket, { logger, counters })
  const send = (from: number, to: number) => {
    for (let offset = from; offset <= to; offset += 1) {
      broadcast.send({ offset, topic: 'a' as Topic, json: Buffer.from(`${offset}`) })
    }
  }
  return { socket, logger, counters, broadcast, send }
}

const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

describe('a broadcast', () => {
  it('waits for a subscriber that is full for a moment, and loses nothing', async () => {
    const { socket, counters, logger, send } = startBroadcast()
    socket.room = 2
    send(1, 1200)
    while (socket.refusals < 2) await nextTurn()
    assert.deepEqual(socket.taken, [1, 2])
    socket.room = 5000
    await socket.hasTaken(1200)
    assert.deepEqual(socket.taken, upTo(1200))
    assert.equal(counters.droppedEvents, 0)
    assert.deepEqual(logger.lines, [])
  })

  it('gives up on one that stays full, counts that, and waits for the others again', async () => {
    const { socket, counters, logger, send } = startBroadcast()
    socket.room = 2
    send(1, 1200)
    await socket.hasTaken(1200)
    assert.deepEqual(socket.taken, upTo(1200))
    assert.equal(counters.droppedEvents, 1)
    socket.room = 0
    send(1201, 1202)
    await socket.hasTaken(1202)
    assert.equal(counters.droppedEvents, 2)
    assert.deepEqual(
      logger.lines.map(({ fields }) => fields['event']),
      ['events.zmq.slow'],
    )
  })

  it('holds a bounded number of bytes, and counts what is beyond', async () => {
    const { socket, counters, logger, broadcast } = startBroadcast()
    socket.room = 0
    const json = Buffer.alloc(1024 * 1024, ' ')
    for (let offset = 1; offset <= 100; offset += 1) {
      broadcast.send({ offset, topic: 'a' as Topic, json })
    }
    assert.equal(counters.droppedEvents, 35)
    assert.equal(logger.lines.length, 1)
    await socket.hasTaken(65)
  })

  it('sends nothing after it is closed', async () => {
    const { socket, counters, broadcast, send } = startBroadcast()
    socket.room = 0
    send(1, 3)
    while (socket.refusals === 0) await nextTurn()
    broadcast.close()
    socket.room = 10
    send(4, 4)
    await nextTurn()
    assert.deepEqual(socket.taken, [])
    assert.equal(counters.droppedEvents, 0)
  })
})
