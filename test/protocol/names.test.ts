import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseFilePath } from '../../src/protocol/file-path.ts'
import { pathOfTopic, topicOfPath } from '../../src/protocol/file-topic.ts'
import { formatPosition, parsePosition, parseSince } from '../../src/protocol/position.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { parseRequestTarget } from '../../src/protocol/request-target.ts'
import { parseTopic } from '../../src/protocol/topic.ts'
import { parseTopicFilter } from '../../src/protocol/topic-filter.ts'
import { mutated } from '../support/mutated-text.ts'

const TOPICS = ['a', 'ci/jenkins/build', 'ü/日本', 'a b', '%', 'a.b', '...', '\\', 'x'.repeat(4096)]
const NO_TOPICS = [
  '',
  '/',
  'a/',
  '/a',
  'a//b',
  '.',
  'a/../b',
  '*',
  'a*',
  'a\u0000',
  'a\n',
  '\u0085',
  'u\u0308',
  '\ud800',
  'x'.repeat(4097),
  Array(65).fill('a').join('/'),
]

test('topics are one to 64 proper segments', () => {
  for (const text of TOPICS) assert.ok(parseTopic(text).ok, text)
  for (const text of NO_TOPICS) assert.ok(!parseTopic(text).ok, JSON.stringify(text))
})

test('filters take wildcards as whole segments, ** only as the last', () => {
  for (const text of [...TOPICS, '*', '**', 'a/*/b', 'a/**', '*/**']) {
    assert.ok(parseTopicFilter(text).ok, text)
  }
  for (const text of ['**/a', 'a/**/b', 'a*', '***', 'a/', '']) {
    assert.ok(!parseTopicFilter(text).ok, text)
  }
})

test('paths have segments of at most 255 bytes and nothing that deceives or escapes', () => {
  for (const text of ['a', 'a/b.tgz', '.hidden', '*', 'a%2Fb', 'é'.repeat(127), ' x ']) {
    assert.ok(parseFilePath(text).ok, text)
  }
  const bad = ['', '/', 'a/', '..', 'a/../b', 'a\\b', 'a\u0000', '\u202ea', 'é'.repeat(128)]
  for (const text of [...bad, Array(33).fill('a').join('/'), 'e\u0301']) {
    assert.ok(!parseFilePath(text).ok, JSON.stringify(text))
  }
})

test('a path and the topic of its changes name each other', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), (text) => {
      const path = parseFilePath(text.normalize('NFC'))
      if (!path.ok) return
      const topic = topicOfPath(path.value)
      assert.ok(parseTopic(topic).ok)
      assert.equal(pathOfTopic(topic), path.value)
    }),
  )
  const path = parseFilePath('100%/a*b')
  assert.equal(path.ok && topicOfPath(path.value), 'files/100%25/a%2Ab')
})

test('positions are an epoch and an offset', () => {
  assert.deepEqual(parsePosition('k3x9:1042'), { ok: true, value: { epoch: 'k3x9', offset: 1042 } })
  assert.deepEqual(parseSince('latest'), { ok: true, value: 'latest' })
  for (const text of ['', ':', 'a:', ':1', 'a:-1', 'a:01', 'a:1.5', 'A:1', 'a:99999999999999999']) {
    assert.ok(!parsePosition(text).ok, text)
  }
})

test('a request target is split before it is decoded, once', () => {
  const segments = (target: string) => parseRequestTarget(target).segments
  assert.deepEqual(segments('/files/a%20b/%25?x=/y#z'), ['files', 'a b', '%'])
  assert.deepEqual(segments('/%66iles/%2A'), ['files', '*'])
  assert.deepEqual(segments('http://h:1/files/x'), ['files', 'x'])
  assert.deepEqual(segments('/a+b//c'), ['a+b', '', 'c'])
  assert.deepEqual(parseRequestTarget('/'), { segments: [], isDirectory: true })
  assert.equal(parseRequestTarget('/a/').isDirectory, true)
  for (const target of ['/a%2fb', '/a%5Cb', '/a%00', '/%zz', '/%', '/%c0%af', '/a\\b']) {
    assert.throws(() => parseRequestTarget(target), { code: 'TARGET_INVALID' }, target)
  }
})

/** Texts near the border of what is a name. */
const nearNames = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'a',
        '.',
        '..',
        '*',
        '**',
        'a*',
        '',
        '\u0000',
        '\u0085',
        'u\u0308',
        '\ud800',
        '%2F',
      ),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
      fc.constantFrom('x'.repeat(1000), 'é'.repeat(700)),
    ),
    { maxLength: 70 },
  )
  .map((segments) => segments.join('/'))

test('what is taken as a topic or filter is one by the words of the protocol', () => {
  const isName = (text: string) =>
    Buffer.byteLength(text) <= 4096 && text.isWellFormed() && text.normalize('NFC') === text
  const isSegment = (text: string) => /^(?!\.{1,2}$)[^*/\p{Cc}]+$/u.test(text)
  fc.assert(
    fc.property(nearNames, (text) => {
      const segments = text.split('/')
      const isTopic = isName(text) && segments.length <= 64 && segments.every(isSegment)
      assert.equal(parseTopic(text).ok, isTopic)
      const plain = segments.map((segment, i) =>
        segment === '*' || (segment === '**' && i === segments.length - 1) ? 'x' : segment,
      )
      const isFilter = isName(text) && segments.length <= 64 && plain.every(isSegment)
      assert.equal(parseTopicFilter(text).ok, isFilter)
    }),
    { numRuns: 2000 },
  )
})

test('a position is read as what it is written from, and nothing else is one', () => {
  const near = mutated(
    fc.constantFrom('k3x9:1042', '0:0', 'a:9007199254740991', 'latest', 'earliest'),
  )
  fc.assert(
    fc.property(near, (text) => {
      const position = parsePosition(text)
      if (position.ok)
        assert.equal(formatPosition(position.value.epoch, position.value.offset), text)
      const since = parseSince(text)
      assert.equal(since.ok, position.ok || text === 'latest' || text === 'earliest')
    }),
    { numRuns: 2000 },
  )
})

test('random text never throws anything but a problem', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl()), (text) => {
      parseTopic(text)
      parseTopicFilter(text)
      parseFilePath(text)
      parsePosition(text)
      try {
        parseRequestTarget(`/${text}`)
      } catch (error) {
        assert.ok(error instanceof BrokerError)
      }
    }),
    { numRuns: 1000 },
  )
})
