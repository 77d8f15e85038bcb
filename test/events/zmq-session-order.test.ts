import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ZmqIntake } from '../../src/events/zmq/zmq-intake.ts'
import { ZmqOutbox } from '../../src/events/zmq/zmq-outbox.ts'
import { ZmqPublishing } from '../../src/events/zmq/zmq-publishing.ts'
import { zeroCounters } from '../../src/events/zmq/zmq-report.ts'
import { ZmqSession } from '../../src/events/zmq/zmq-session.ts'
import { type Fixture, startZmq } from './zmq-fixture.ts'

test('PONG tells no position that is behind an event before it', async () => {
  await using fixture = await startZmq()
  await fixture.publish('ci/app', 1)
  // The replay goes on while a PING is answered: at each moment of it there is one.
  for (let moments = 0; moments < 20; moments += 1) {
    const told = await toldTo(fixture, async (command) => {
      command('SUBSCRIBE', 'jenkins-token', 'ci/**', 'earliest')
      for (let i = 0; i < moments; i += 1) await null
      command('PING')
    })
    const isReplayed = told.some(([verb]) => verb === 'EVENT')
    const position = JSON.parse(told.at(-1)?.[1] ?? '').position
    assert.equal(position, isReplayed ? 'e1:1' : 'e1:0', `after ${moments}`)
  }
})

/** What a peer that sends these commands is told, up to the first `PONG`. */
async function toldTo(
  fixture: Fixture,
  send: (command: (...frames: readonly string[]) => void) => Promise<void>,
): Promise<readonly (readonly string[])[]> {
  const { promise: answered, resolve } = Promise.withResolvers<void>()
  const told: string[][] = []
  const sender = {
    send: async ([, ...frames]: readonly (string | Buffer)[]) => {
      told.push(frames.map(String))
      if (frames[0] === 'PONG') resolve()
    },
  }
  const publishing = new ZmqPublishing(fixture.publisher)
  const services = { intake: new ZmqIntake(), publishing, counters: zeroCounters() }
  const outbox = new ZmqOutbox(sender, Buffer.from('peer'), () => {})
  using session = new ZmqSession({ ...fixture, ...services }, outbox)
  await send((...frames) => session.receive(frames.map((frame) => Buffer.from(frame))))
  await answered
  return told.slice(0, told.findIndex(([verb]) => verb === 'PONG') + 1)
}
