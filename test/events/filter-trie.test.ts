import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FilterTrie } from '../../src/events/delivery/filter-trie.ts'
import type { Topic } from '../../src/protocol/topic.ts'
import { filterMatches, type TopicFilter } from '../../src/protocol/topic-filter.ts'

const segment = fc.constantFrom('a', 'b', 'c')
const topic = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((segments) => segments.join('/') as Topic)
const filter = fc
  .tuple(
    fc.array(fc.oneof(segment, fc.constant('*')), { maxLength: 3 }),
    fc.constantFrom('a', '*', '**'),
  )
  .map(([segments, last]) => [...segments, last].join('/') as TopicFilter)

test('a topic finds exactly the filters that match it, also after some were removed', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(filter, { maxLength: 30 }),
      fc.uniqueArray(filter, { maxLength: 15 }),
      fc.array(topic, { minLength: 1 }),
      (added, removed, topics) => {
        const trie = new FilterTrie<TopicFilter>()
        for (const each of added) trie.add(each, each)
        for (const each of removed) trie.remove(each, each)
        const left = added.filter((each) => !removed.includes(each))
        for (const each of topics) {
          const expected = left.filter((candidate) => filterMatches(candidate, each))
          assert.deepEqual([...trie.match(each)].sort(), expected.sort())
        }
      },
    ),
  )
})
