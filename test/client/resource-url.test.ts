import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { directoryUrl, fileUrl, filterUrl, topicUrl } from '../../src/client/http/resource-url.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { parseRequestTarget } from '../../src/protocol/request-target.ts'

test('names become URLs that the broker reads back as the same names', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) => {
      try {
        const { pathname } = new URL(fileUrl(name), 'http://b.example')
        const { segments } = parseRequestTarget(pathname)
        assert.deepEqual(segments, ['files', ...name.split('/')])
      } catch (error) {
        assert.ok(error instanceof BrokerError, String(error))
      }
    }),
  )
})

test('spaces, percent signs and question marks are encoded, stars stay', () => {
  assert.equal(fileUrl('a b/100%?#.txt'), '/files/a%20b/100%25%3F%23.txt')
  assert.equal(filterUrl('ci/*/**'), '/events/ci/*/**')
})

test('names that a URL parser would resolve are refused', () => {
  for (const name of ['..', 'a/../b', './a', 'a//b', '', '/a', 'a/']) {
    assert.throws(() => fileUrl(name), { code: 'PATH_INVALID' })
    assert.throws(() => topicUrl(name), { code: 'TOPIC_INVALID' })
    assert.throws(() => filterUrl(name), { code: 'FILTER_INVALID' })
  }
  assert.throws(() => topicUrl('a/*'), { code: 'TOPIC_INVALID' })
  assert.throws(() => directoryUrl('a/..'), { code: 'PATH_INVALID' })
})

test('a directory may have its slashes or not', () => {
  assert.equal(directoryUrl(''), '/files/')
  assert.equal(directoryUrl('/'), '/files/')
  assert.equal(directoryUrl('a/b'), '/files/a/b/')
  assert.equal(directoryUrl('/a/b/'), '/files/a/b/')
})
