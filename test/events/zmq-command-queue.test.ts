import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ZmqCommandQueue } from '../../src/events/zmq/zmq-command-queue.ts'
import { ZmqIntake } from '../../src/events/zmq/zmq-intake.ts'

const MEBIBYTE = 1024 * 1024

const command = (text: string) => [Buffer.from(text)]
const big = () => [Buffer.alloc(MEBIBYTE)]

function taken(queue: ZmqCommandQueue): string[] {
  const found: string[] = []
  for (;;) {
    const next = queue.peek()
    if (next === undefined) return found
    queue.shift()
    found.push(next.kind === 'refused' ? 'refused' : String(next.envelope.frames[0]))
  }
}

describe('a queue of commands', () => {
  it('gives each command its turn, and a refusal its turn in the place of one', () => {
    const queue = new ZmqCommandQueue(new ZmqIntake())
    const accepted = Array.from({ length: 1030 }, (_, i) => queue.push(command(`${i}`)))
    assert.deepEqual(
      accepted.map((each) => each),
      Array.from({ length: 1030 }, (_, i) => i < 1024),
    )
    queue.shift()
    queue.shift()
    // Two have left, but the refused ones are one entry before it.
    assert.equal(queue.push(command('late')), true)
    assert.deepEqual(taken(queue), [
      ...Array.from({ length: 1022 }, (_, i) => `${i + 2}`),
      ...Array.from({ length: 6 }, () => 'refused'),
      'late',
    ])
  })

  it('bounds the bytes that wait, but always has room for one command', () => {
    const intake = new ZmqIntake()
    const queues = Array.from({ length: 20 }, () => new ZmqCommandQueue(intake))
    const accepted = queues.map((queue) => Array.from({ length: 7 }, () => queue.push(big())))
    // One free and four counted of each, until 64 MiB are full: then one of each.
    assert.deepEqual(
      accepted.map((each) => each.filter(Boolean).length),
      [...Array.from({ length: 16 }, () => 5), 1, 1, 1, 1],
    )
    for (const queue of queues.slice(0, 8)) queue.clear()
    for (const queue of queues.slice(8, 16)) taken(queue)
    const last = new ZmqCommandQueue(intake)
    assert.equal(Array.from({ length: 7 }, () => last.push(big())).filter(Boolean).length, 5)
  })

  it('mirrors the empty frame of a REQ in refusals too', () => {
    const queue = new ZmqCommandQueue(new ZmqIntake())
    for (let i = 0; i < 1025; i += 1) queue.push([Buffer.alloc(0), ...command('PING')])
    for (let i = 0; i < 1024; i += 1) queue.shift()
    assert.deepEqual(queue.peek(), { kind: 'refused', isRequest: true, count: 1 })
  })
})

describe('the intake', () => {
  it('lets nothing be read while too many commands are in work', async () => {
    const intake = new ZmqIntake()
    for (let i = 0; i < 4096; i += 1) intake.begin(1)
    const ready = intake.ready()
    assert.ok(ready !== undefined)
    intake.end(1)
    await ready
    assert.equal(intake.ready(), undefined)
  })

  it('lets nothing be read while too many bytes are in work', async () => {
    const intake = new ZmqIntake()
    for (let i = 0; i < 32; i += 1) intake.begin(MEBIBYTE)
    const ready = intake.ready()
    assert.ok(ready !== undefined)
    intake.end(MEBIBYTE)
    await ready
  })
})
