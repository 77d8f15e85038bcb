import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EventBuffer } from '../../src/client/events/event-buffer.ts'

test('items come out in the order they went in, whoever was first', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 200 }), async (steps) => {
      const buffer = new EventBuffer<number>(5)
      const taken: Promise<number | undefined>[] = []
      let pushed = 0
      for (const isPush of steps) {
        if (isPush) buffer.push(pushed, `e:${pushed++}`, 1)
        else taken.push(buffer.take())
      }
      buffer.end()
      while ((await buffer.take()) !== undefined) pushed -= 1
      const items = (await Promise.all(taken)).filter((item) => item !== undefined)
      assert.deepEqual(
        items,
        Array.from({ length: pushed }, (_, i) => i),
      )
    }),
  )
})

test('it is full by number and by size, and has room when half is taken', async () => {
  const buffer = new EventBuffer<string>(4)
  for (const item of ['a', 'b', 'c', 'd']) buffer.push(item, item, 1)
  assert.ok(buffer.isFull)
  let hasRoom = false
  const room = buffer.room().then(() => {
    hasRoom = true
  })
  await buffer.take()
  assert.equal(hasRoom, false)
  await buffer.take()
  await room
  const large = new EventBuffer<string>(1000)
  large.push('x', 'x', 16 * 1024 * 1024)
  assert.ok(large.isFull)
})

test('after the end it gives what is held, then the failure once', async () => {
  const buffer = new EventBuffer<string>(4)
  buffer.push('a', 'e:1', 1)
  buffer.end(new Error('over'))
  assert.equal(await buffer.take(), 'a')
  await assert.rejects(buffer.take(), /over/)
  assert.equal(await buffer.take(), undefined)
})

test('what waits for room goes on at the end', async () => {
  const buffer = new EventBuffer<string>(1)
  buffer.push('a', 'e:1', 1)
  const room = buffer.room()
  buffer.discard()
  await room
  assert.equal(await buffer.take(), undefined)
})
