import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outstanding } from '../../src/files/watch/outstanding.ts'

/** Whether `promise` has settled by the end of this turn. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false
  promise.then(
    () => {
      settled = true
    },
    () => {
      settled = true
    },
  )
  await new Promise((resolve) => setImmediate(resolve))
  return settled
}

test('a barrier waits for what had begun and not for what begins later', async () => {
  const work = new Outstanding()
  const [first, second] = [work.begin(), work.begin()]
  const drained = work.drained()
  const third = work.begin()
  work.end(second)
  work.end(third)
  const fourth = work.begin()
  assert.equal(await isSettled(drained), false)
  work.end(first)
  assert.equal(await isSettled(drained), true)
  work.end(fourth)
})

test('a barrier with nothing open resolves', async () => {
  await new Outstanding().drained()
})

test('whoever waits for what will never end is told so', async () => {
  const work = new Outstanding()
  work.begin()
  const drained = work.drained()
  work.fail(new Error('stopped'))
  await assert.rejects(drained, /stopped/)
  await assert.rejects(work.drained(), /stopped/)
})
