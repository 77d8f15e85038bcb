import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseUploadMetadata } from '../../src/files/tus/upload-metadata.ts'
import { BrokerError } from '../../src/protocol/problem.ts'

const key = fc.stringMatching(/^[\x21-\x2b\x2d-\x7e]{1,12}$/)
const value = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed())

test('metadata comes back as it was written, whatever is in it', () => {
  fc.assert(
    fc.property(fc.dictionary(key, value, { noNullPrototype: false }), (metadata) => {
      const entries = Object.entries(metadata)
      fc.pre(entries.length > 0)
      const text = entries.map(([name, each]) => `${name} ${Buffer.from(each).toString('base64')}`)
      assert.deepEqual([...parseUploadMetadata(text.join(','))], entries)
      assert.deepEqual([...parseUploadMetadata(text.join(' , '))], entries)
    }),
  )
})

test('whatever is sent is read or refused, and nothing else', () => {
  const piece = fc.oneof(fc.string(), fc.constantFrom(',', ' ', 'path', 'cGF0aA==', '='))
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      try {
        for (const name of parseUploadMetadata(pieces.join('')).keys()) {
          assert.match(name, /^[\x21-\x7e]+$/)
        }
      } catch (error) {
        assert.ok(error instanceof BrokerError && error.code === 'REQUEST_INVALID', String(error))
      }
    }),
  )
})

test('a key may stand alone, and padding may be missing', () => {
  const metadata = parseUploadMetadata('is_private,path YQ, name YQ==')
  assert.deepEqual(
    [...metadata],
    [
      ['is_private', ''],
      ['path', 'a'],
      ['name', 'a'],
    ],
  )
})

for (const [why, text] of [
  ['nothing', ''],
  ['no pair between commas', 'a YQ==,,b YQ=='],
  ['a key twice', 'path YQ==,path Yg=='],
  ['a value of the other alphabet', 'path _-_-'],
  ['bits behind the end', 'path YR=='],
  ['bytes that are not UTF-8', 'path /w=='],
  ['a third word', 'path YQ== YQ=='],
  ['a key that is not ASCII', 'pàth YQ=='],
  ['too much', `path ${'A'.repeat(8192)}`],
] as const) {
  test(`metadata with ${why} is refused`, () => {
    assert.throws(() => parseUploadMetadata(text), { code: 'REQUEST_INVALID' })
  })
}
