import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  GroupsInFlight,
  type ServedGroup,
  type Waiting,
} from '../../src/database/groups-in-flight.ts'

/** Notes what is answered, by name. */
class Answers {
  readonly given: string[] = []

  waiting(name: string, awaitsSync: boolean): Waiting {
    return {
      awaitsSync,
      resolve: () => this.given.push(name),
      reject: ({ message }) => this.given.push(`${name}: ${message}`),
    }
  }
}

test('a query is answered when it is read, a commit when it is written and synced', () => {
  const answers = new Answers()
  const groups = new GroupsInFlight(() => {})
  groups.send([answers.waiting('commit', true), answers.waiting('query', false)])
  groups.written([{}, {}])
  assert.deepEqual(answers.given, ['query'])
  groups.synced(1)
  assert.deepEqual(answers.given, ['query', 'commit'])
  assert.equal(groups.size, 0)
})

test('that a group is synced may be heard before that it is written', () => {
  const answers = new Answers()
  const groups = new GroupsInFlight(() => {})
  groups.send([answers.waiting('commit', true)])
  groups.synced(1)
  assert.deepEqual(answers.given, [])
  groups.written([{}])
  assert.deepEqual(answers.given, ['commit'])
})

test('a commit that was refused is told so, and those beside it are not', () => {
  const answers = new Answers()
  const served: ServedGroup[] = []
  const groups = new GroupsInFlight((group) => served.push(group))
  groups.send([answers.waiting('bad', true), answers.waiting('good', true)])
  groups.written([{ error: 'no such table' }, {}])
  groups.synced(1)
  assert.deepEqual(answers.given, ['bad: no such table', 'good'])
  assert.deepEqual(
    served.map(({ requests, failure }) => ({ requests, failure })),
    [{ requests: 2, failure: 'no such table' }],
  )
})

test('queries that are answered take no place from others while a commit is synced', () => {
  const answers = new Answers()
  const served: ServedGroup[] = []
  const groups = new GroupsInFlight((group) => served.push(group))
  groups.send([answers.waiting('commit', true)])
  groups.send([answers.waiting('query', false)])
  groups.written([{}])
  groups.written([{ error: 'no such table' }])
  assert.deepEqual(answers.given, ['query: no such table'])
  assert.equal(groups.size, 1)
  assert.deepEqual(
    served.map(({ failure }) => failure),
    ['no such table'],
  )
})

test('a failure answers all that wait', () => {
  const answers = new Answers()
  const groups = new GroupsInFlight(() => {})
  groups.send([answers.waiting('written', true)])
  groups.send([answers.waiting('sent', true), answers.waiting('query', false)])
  groups.written([{}])
  groups.fail(new Error('broken'))
  assert.deepEqual(answers.given, ['written: broken', 'sent: broken', 'query: broken'])
  assert.equal(groups.requests, 0)
})

test('commits are answered in their order, once, and never before they are written and synced', () => {
  const steps = fc.array(fc.constantFrom('send', 'query', 'write', 'sync'), { maxLength: 60 })
  fc.assert(
    fc.property(steps, (sequence) => {
      const answers = new Answers()
      const groups = new GroupsInFlight(() => {})
      const kinds: string[] = []
      let [written, synced] = [0, 0]
      for (const step of sequence) {
        if (step === 'send' || step === 'query') {
          kinds.push(step)
          groups.send([answers.waiting(String(kinds.length), step === 'send')])
        } else if (step === 'write' && written < kinds.length) {
          written += 1
          groups.written([{}])
        } else if (step === 'sync' && synced < kinds.length) {
          // Told of what is written, of which this side may not have heard yet.
          synced += 1
          groups.synced(synced)
        }
      }
      const done = kinds.flatMap((kind, i) =>
        i < written && (kind === 'query' || i < synced) ? [i + 1] : [],
      )
      const commits = (numbers: readonly number[]) => numbers.filter((n) => kinds[n - 1] === 'send')
      const given = answers.given.map(Number)
      assert.deepEqual(
        given.toSorted((a, b) => a - b),
        done,
      )
      assert.deepEqual(commits(given), commits(done))
    }),
  )
})
