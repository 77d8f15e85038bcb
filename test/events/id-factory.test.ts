import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeTime, isValid } from 'ulid'
import { idFactory } from '../../src/events/publish/id-factory.ts'

test('ids of one factory are valid ULIDs of the time and increase', () => {
  const newId = idFactory()
  const before = Date.now()
  const ids = Array.from({ length: 10_000 }, () => newId())
  assert.ok(ids.every((id) => isValid(id)))
  assert.ok(ids.every((id, i) => i === 0 || id > (ids[i - 1] ?? '')))
  assert.ok(decodeTime(ids[0] ?? '') >= before && decodeTime(ids.at(-1) ?? '') <= Date.now())
})

test('two factories share no randomness', () => {
  const parts = Array.from({ length: 1000 }, () => idFactory()().slice(10))
  assert.equal(new Set(parts).size, parts.length)
})

test('each millisecond has random digits of its own, also after the pool was filled again', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1 })
  const newId = idFactory()
  const ids = Array.from({ length: 1000 }, () => {
    t.mock.timers.tick(1)
    return newId()
  })
  assert.equal(new Set(ids.map((id) => id.slice(10))).size, ids.length)
})
