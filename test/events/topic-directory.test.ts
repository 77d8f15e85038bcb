import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TopicDirectory } from '../../src/events/log/topic-directory.ts'
import type { Topic } from '../../src/protocol/topic.ts'
import { filterMatches, type TopicFilter } from '../../src/protocol/topic-filter.ts'
import { filters } from '../support/events.ts'

const segment = fc.constantFrom('a', 'b', 'c')
const topics = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((all) => all.join('/') as Topic)
const anyFilter = fc
  .tuple(fc.array(fc.oneof(segment, fc.constant('*')), { maxLength: 4 }), fc.boolean())
  .map(([all, isOpen]) => [...all, ...(isOpen || all.length === 0 ? ['**'] : [])].join('/'))
  .filter((filter) => filter !== '**')
  .map((filter) => filter as TopicFilter)

const kept = { user: null, droppedThrough: 0 }

test('what a filter finds is what it matches of what is kept, in order', () => {
  const query = fc.record({
    asked: fc.array(anyFilter, { minLength: 1, maxLength: 3 }),
    after: fc.nat({ max: 60 }),
    limit: fc.integer({ min: 1, max: 10 }),
    droppedThrough: fc.nat({ max: 60 }),
    isSwept: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(topics, { maxLength: 60 }), query, (all, query) => {
      const { asked, after, limit, droppedThrough, isSwept } = query
      const dropped = { user: 'ann', droppedThrough }
      const directory = new TopicDirectory()
      for (const [i, topic] of all.entries()) directory.add(topic, i + 1, i % 2 ? kept : dropped)
      if (isSwept) directory.sweep()
      const isKept = (offset: number) => offset % 2 === 0 || offset > droppedThrough
      const expected = all
        .map((topic, i) => ({ topic, offset: i + 1 }))
        .filter(({ offset }) => offset > after && isKept(offset))
        .filter(({ topic }) => asked.some((filter) => filterMatches(filter, topic)))
        .map(({ offset }) => offset)
        .slice(0, limit)
      assert.deepEqual(directory.find(asked, after, limit), expected)
    }),
    { numRuns: 500 },
  )
})

test('the first of many are found among topics that take turns', () => {
  const directory = new TopicDirectory()
  for (let i = 1; i <= 50_000; i += 1) directory.add(`a/${(i * 7919) % 1000}` as Topic, i, kept)
  assert.deepEqual(
    directory.find(filters('a/*'), 20_000, 500),
    Array.from({ length: 500 }, (_, i) => 20_001 + i),
  )
})

test('a swept directory holds nothing of what was dropped and takes in more', () => {
  const directory = new TopicDirectory()
  for (let i = 1; i <= 10; i += 1) directory.add('a' as Topic, i, { user: null, droppedThrough: 8 })
  assert.equal(directory.size, 10)
  directory.sweep()
  assert.equal(directory.size, 2)
  directory.add('a' as Topic, 11, kept)
  assert.deepEqual(directory.find(filters('a'), 0, 10), [9, 10, 11])
})

test('everything, or too many topics, are not looked up', () => {
  const directory = new TopicDirectory()
  for (let i = 1; i <= 5000; i += 1) directory.add(`a/${i}` as Topic, i, kept)
  assert.equal(directory.find(filters('b', '**'), 0, 10), undefined)
  assert.equal(directory.find(filters('a/**'), 0, 10), undefined)
  assert.deepEqual(directory.find(filters('a/7'), 0, 10), [7])
})
