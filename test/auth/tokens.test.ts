import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import {
  containsToken,
  createToken,
  hasTokenChecksum,
  tokenHash,
} from '../../src/auth/credentials/tokens.ts'

test('a new token has the published form and a right checksum', () => {
  const tokens = Array.from({ length: 500 }, createToken)
  for (const token of tokens) {
    assert.match(token, /^dbk_[0-9A-Za-z]{36}$/)
    assert.ok(hasTokenChecksum(token))
  }
  assert.equal(new Set(tokens).size, tokens.length)
})

test('all digits of the alphabet come about equally often', () => {
  const counts = new Map<string, number>()
  const texts = Array.from({ length: 4000 }, () => createToken().slice(4, 34))
  for (const digit of texts.join('')) counts.set(digit, (counts.get(digit) ?? 0) + 1)
  assert.equal(counts.size, 62)
  // 120,000 draws: 1,935 of each with a standard deviation of 44; a plain remainder would give some 2,344.
  for (const count of counts.values()) assert.ok(count > 1670 && count < 2200, String(count))
})

test('the checksum is the CRC32 of the random digits in base62, padded on the left', () => {
  const alphabet = [...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz']
  const random = 'A'.repeat(30)
  let value = 0n
  for (const digit of createTokenWith(random)) value = value * 62n + BigInt(alphabet.indexOf(digit))
  assert.equal(value, BigInt(crc32(random)))
})

/** The six digits that make `random` a token, found without the code that writes them. */
function createTokenWith(random: string): string {
  const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  let rest = crc32(random)
  const digits = Array.from({ length: 6 }, () => {
    const digit = alphabet.charAt(rest % 62)
    rest = Math.floor(rest / 62)
    return digit
  }).toReversed()
  assert.ok(hasTokenChecksum(`dbk_${random}${digits.join('')}`))
  return digits.join('')
}

test('a mistyped token fails its checksum', () => {
  const token = createToken()
  const wrong = token.slice(0, 10) + (token[10] === 'a' ? 'b' : 'a') + token.slice(11)
  for (const text of [wrong, token.slice(0, -1), `${token}0`, token.toUpperCase(), '']) {
    assert.equal(hasTokenChecksum(text), false)
  }
})

test('the hash is SHA-256 of the whole text in lower-case hex', () => {
  const token = createToken()
  assert.equal(tokenHash(token), createHash('sha256').update(token).digest('hex'))
})

test('a token is found within another text', () => {
  assert.ok(containsToken(`x=${createToken()}&y`))
  assert.ok(!containsToken('dbk_short'))
})
