import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PathLocks } from '../../src/files/path-locks.ts'

test('those who want the same paths in different orders take turns', async () => {
  const locks = new PathLocks()
  const order: string[] = []
  const work = (name: string) => async () => {
    order.push(`${name} begins`)
    await new Promise((resolve) => setImmediate(resolve))
    order.push(`${name} ends`)
  }
  await Promise.all([
    locks.holdAll(['a', 'b', 'c'], work('first')),
    locks.holdAll(['c', 'b'], work('second')),
    locks.hold('b', work('third')),
  ])
  const turns = [order.slice(0, 2), order.slice(2, 4), order.slice(4)]
  for (const [begins = '', ends = ''] of turns)
    assert.equal(begins.split(' ')[0], ends.split(' ')[0])
})

test('work that fails lets go of all paths', async () => {
  const locks = new PathLocks()
  await assert.rejects(
    locks.holdAll(['a', 'b'], () => Promise.reject(new Error('no'))),
    /no/,
  )
  assert.equal(await locks.holdAll(['b', 'a'], async () => 'held'), 'held')
})
