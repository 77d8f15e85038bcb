import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatReprDigest,
  parseDigestFields,
  verifyDigests,
} from '../../src/files/http/digest-fields.ts'
import { BrokerError } from '../../src/protocol/problem.ts'

function base64(bytes: Uint8Array, algorithm = 'sha256'): string {
  return createHash(algorithm).update(bytes).digest('base64')
}

test('what is stated of any bytes, in any way, is verified against them and no others', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (bytes, others) => {
      fc.pre(!Buffer.from(bytes).equals(Buffer.from(others)))
      const digestsOf = (of: Uint8Array) => ({
        'sha-256': createHash('sha256').update(of).digest('hex'),
        'sha-512': createHash('sha512').update(of).digest('hex'),
      })
      const fields = [
        { 'repr-digest': `sha-256=:${base64(bytes)}:` },
        { 'repr-digest': `sha-512=:${base64(bytes, 'sha512')}:` },
        { 'content-digest': `unixsum=:AAA=:, sha-256=:${base64(bytes)}:;q=1` },
        { 'content-digest': `sha-256=:${base64(bytes).replaceAll('=', '')}:` },
        { 'x-checksum-sha256': digestsOf(bytes)['sha-256'] },
        { 'repr-digest': formatReprDigest(digestsOf(bytes)['sha-256']) },
      ]
      for (const field of fields) {
        const stated = parseDigestFields(field)
        assert.equal(stated.length, 1)
        verifyDigests(stated, digestsOf(bytes))
        assert.throws(() => verifyDigests(stated, digestsOf(others)), { code: 'DIGEST_MISMATCH' })
      }
    }),
  )
})

test('all that is stated is verified, not only the first', () => {
  const right = `sha-256=:${base64(Buffer.from('a'))}:`
  const wrong = `sha-256=:${base64(Buffer.from('b'))}:`
  const stated = parseDigestFields({ 'content-digest': right, 'repr-digest': wrong })
  const sha256 = createHash('sha256').update('a').digest('hex')
  assert.throws(() => verifyDigests(stated, { 'sha-256': sha256 }), { code: 'DIGEST_MISMATCH' })
})

test('unknown algorithms are ignored, and the last of two members counts', () => {
  assert.deepEqual(parseDigestFields({ 'repr-digest': 'md5=:AAAA:, *x.y-z=:AAAA:' }), [])
  const [a, b] = ['a', 'b'].map((text) => base64(Buffer.from(text)))
  const [stated, ...more] = parseDigestFields({ 'repr-digest': `sha-256=:${a}:, sha-256=:${b}:` })
  assert.equal(stated?.hex, Buffer.from(String(b), 'base64').toString('hex'))
  assert.deepEqual(more, [])
})

test('what is not well formed is refused', () => {
  const good = base64(Buffer.from('a'))
  const bad = [
    '',
    'sha-256',
    `sha-256=${good}`,
    `sha-256=:${good}`,
    `sha-256=:${good}:,`,
    `sha-256=:${good}: sha-512=:AA:`,
    `SHA-256=:${good}:`,
    `sha-256=:AAAA:`,
    `sha-512=:${good}:`,
    `sha-256=:${good.slice(0, -2)}!:`,
    `sha-256=("a")`,
  ]
  for (const value of bad) {
    assert.throws(
      () => parseDigestFields({ 'repr-digest': value }),
      { code: 'DIGEST_INVALID' },
      value,
    )
  }
  for (const value of ['', 'abc', 'g'.repeat(64), 'a'.repeat(65), `${'a'.repeat(64)},x`]) {
    assert.throws(() => parseDigestFields({ 'x-checksum-sha256': value }), {
      code: 'DIGEST_INVALID',
    })
  }
})

test('no value throws anything but a problem', () => {
  const piece = fc.constantFrom(
    'sha-256',
    'sha-512',
    '=',
    ':',
    ',',
    ';',
    'a',
    'QQ==',
    ' ',
    '*',
    '\t',
  )
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(piece).map((all) => all.join('')),
  )
  const names = fc.constantFrom('repr-digest', 'content-digest', 'x-checksum-sha256')
  fc.assert(
    fc.property(names, value, (name, text) => {
      try {
        parseDigestFields({ [name]: text })
      } catch (error) {
        assert.ok(error instanceof BrokerError)
        assert.equal(error.code, 'DIGEST_INVALID')
      }
    }),
    { numRuns: 500 },
  )
})
