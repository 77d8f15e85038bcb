import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { EventDraft } from '../../src/events/log/event-log.ts'
import type { Receipt } from '../../src/events/publish/publisher.ts'
import { type Failure, ZmqPublishing } from '../../src/events/zmq/zmq-publishing.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import type { Topic } from '../../src/protocol/topic.ts'

function draft(id: string, fields: Partial<EventDraft> = {}): EventDraft {
  return { topic: 'ci/app' as Topic, id, json: `{"id":"${id}"`, user: 'jenkins', ...fields }
}

/** A log that commits when it is told to. */
class FakePublisher {
  readonly appends: string[][] = []
  readonly waiting: { commit(): void; fail(error: Error): void }[] = []

  append(drafts: readonly EventDraft[]): Promise<readonly Receipt[]> {
    this.appends.push(drafts.map(({ id }) => id))
    return new Promise((resolve, reject) => {
      this.waiting.push({
        commit: () =>
          resolve(drafts.map(({ id }) => ({ id, position: `e1:${id}`, duplicate: false }))),
        fail: reject,
      })
    })
  }
}

function start() {
  const publisher = new FakePublisher()
  const publishing = new ZmqPublishing(publisher)
  const answers: string[] = []
  const take = (event: EventDraft | Failure) =>
    publishing.take({
      event,
      answer: (outcome) =>
        answers.push('error' in outcome ? String(outcome.error) : outcome.position),
    })
  return { publisher, publishing, answers, take }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('publishes that are taken in one turn', () => {
  it('are one append, and answered when it is committed', async () => {
    const { publisher, answers, take } = start()
    for (const id of ['1', '2', '3']) take(draft(id))
    assert.deepEqual(publisher.appends, [])
    await settled()
    assert.deepEqual(publisher.appends, [['1', '2', '3']])
    assert.deepEqual(answers, [])
    publisher.waiting[0]?.commit()
    await settled()
    assert.deepEqual(answers, ['e1:1', 'e1:2', 'e1:3'])
  })

  it('are answered in their order, with those that failed before the log saw them', async () => {
    const { publisher, answers, take } = start()
    take(draft('1'))
    take({ error: 'no such topic' })
    take(draft('2'))
    await settled()
    publisher.waiting[0]?.commit()
    await settled()
    assert.deepEqual(answers, ['e1:1', 'no such topic', 'e1:2'])
  })

  it('stand by themselves when they have an identity, for which the log may refuse them', async () => {
    const { publisher, answers, take } = start()
    for (const id of ['1', '2']) take(draft(id))
    take(draft('3', { identity: 'jenkins\n/a\n3' }))
    take(draft('4'))
    await settled()
    assert.deepEqual(publisher.appends, [['1', '2'], ['3'], ['4']])
    // Refused at once, but the others were first.
    publisher.waiting[1]?.fail(new BrokerError('EVENT_CONFLICT', 'known', { fields: { index: 0 } }))
    publisher.waiting[2]?.commit()
    await settled()
    assert.deepEqual(answers, [])
    publisher.waiting[0]?.commit()
    await settled()
    assert.deepEqual(answers, ['e1:1', 'e1:2', 'BrokerError: known', 'e1:4'])
  })

  it('all fail when the log cannot be written, and the next ones are taken', async () => {
    const { publisher, answers, take } = start()
    for (const id of ['1', '2']) take(draft(id))
    await settled()
    take(draft('3'))
    await settled()
    publisher.waiting[0]?.fail(new BrokerError('STORAGE_FULL', 'full'))
    publisher.waiting[1]?.commit()
    await settled()
    assert.deepEqual(answers, ['BrokerError: full', 'BrokerError: full', 'e1:3'])
  })

  it('do not wait for more when there are many', () => {
    const { publisher, take } = start()
    const large = { json: 'x'.repeat(100_000) }
    for (const id of ['1', '2', '3']) take(draft(id, large))
    assert.deepEqual(publisher.appends, [['1', '2', '3']])
    for (let i = 0; i < 200; i += 1) take(draft(String(i)))
    assert.equal(publisher.appends.length, 2)
  })
})
