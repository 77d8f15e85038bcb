import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyPath, anyText, operate, operation } from '../files/disk-operations.ts'
import { WatchedBroker } from '../support/watched-broker.ts'

const IS_SOAK = process.env['SOAK'] === '1'
const ROUNDS = IS_SOAK ? 1000 : 60
const FLOOD = IS_SOAK ? 100_000 : 20_000

const round = fc.record(
  {
    while: fc.constantFrom('running', 'stopped', 'asked over HTTP'),
    // What is written by one name of a file is no event of the other.
    operations: fc.array(
      operation.filter((run) => !String(run).startsWith('hard link')),
      { minLength: 1, maxLength: 12 },
    ),
    requests: fc.array(fc.tuple(fc.constantFrom('PUT', 'PUT', 'DELETE'), anyPath, anyText), {
      minLength: 1,
      maxLength: 8,
    }),
  },
  { noNullPrototype: true },
)

test('what is done on disk and over HTTP, the broker stopped or not, folds to the disk', async () => {
  await using subject = await WatchedBroker.start()
  const { root } = subject
  await fc.assert(
    fc.asyncProperty(round, async ({ while: how, operations, requests }) => {
      if (how === 'stopped') subject.stopped(() => operate(root, operations))
      else {
        const asked = (how === 'running' ? [] : requests).map(async ([method, path, body]) => {
          const init = method === 'PUT' ? { method, body } : { method }
          const { status } = await subject.request(`/files/${path}`, init)
          // Somebody else's directory or link may be in the way.
          assert.ok(status < 500, `${method} ${path}: ${status}`)
        })
        for (const run of operations) {
          operate(root, [run])
          if (how !== 'running') await new Promise((resolve) => setImmediate(resolve))
        }
        await Promise.all(asked)
      }
      await subject.check(how === 'stopped')
    }),
    // Each round goes on from the last: a smaller one would not be the same.
    { numRuns: ROUNDS, endOnFailure: true },
  )
})

test('a flood while the broker is stopped is told whole, each file once', async () => {
  await using subject = await WatchedBroker.start()
  const { root } = subject
  for (let d = 0; d < 20; d += 1) {
    mkdirSync(join(root, `d${d}`))
    writeFileSync(join(root, `d${d}`, 'old'), `${d}`)
  }
  assert.equal(await subject.check(true), 20)
  subject.stopped(() => {
    for (let i = 0; i < FLOOD; i += 1) writeFileSync(join(root, `d${i % 20}`, `f${i}`), `${i}`)
    rmSync(join(root, 'd0'), { recursive: true })
    renameSync(join(root, 'd1'), join(root, 'moved'))
    mkdirSync(join(root, 'late/deep'), { recursive: true })
    writeFileSync(join(root, 'late/deep/f'), 'x')
  })
  // The file of `d0` is gone, that of `d1` went and came, and what is left of the flood is new.
  assert.equal(await subject.check(true), FLOOD - FLOOD / 20 + 1 + 1 + 2)
  writeFileSync(join(root, 'late/deep/g'), 'x')
  writeFileSync(join(root, 'moved/g'), 'x')
  assert.equal(await subject.check(true), 2)
})
