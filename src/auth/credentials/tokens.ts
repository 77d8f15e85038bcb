import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_DIGITS = 30
const CHECK_DIGITS = 6

/** What a token of ours looks like, anywhere in a text. Published, so that secret scanners find it. */
const TOKEN = /dbk_[0-9A-Za-z]{36}/
const TOKENS = new RegExp(TOKEN, 'g')

/** A new token: `dbk_`, 30 base62 digits (178 bits) and 6 of their checksum. Shown once, never stored. */
export function createToken(): string {
  const random = randomDigits(RANDOM_DIGITS)
  return `dbk_${random}${checkDigits(random)}`
}

/** What a users file lists of a token: SHA-256 of the whole text, in lower-case hex. */
export function tokenHash(secret: string): string {
  return hash('sha256', secret, 'hex')
}

/**
 * True for a token with a right checksum, which says that it was made here or elsewhere by this scheme. It
 * serves scanners and typing errors; whether a token is valid, its hash alone decides.
 */
export function hasTokenChecksum(text: string): boolean {
  if (text.length !== 40 || !TOKEN.test(text)) return false
  return text.slice(-CHECK_DIGITS) === checkDigits(text.slice(4, -CHECK_DIGITS))
}

/** True when something in `text` looks like a token, right or wrong. */
export function containsToken(text: string): boolean {
  return TOKEN.test(text)
}

/** For logs: people put tokens where none belongs. */
export function withoutTokens(text: string): string {
  return text.replaceAll(TOKENS, 'dbk_[redacted]')
}

function randomDigits(count: number): string {
  let digits = ''
  while (digits.length < count) {
    for (const byte of randomBytes(count)) {
      // 248 is the greatest multiple of 62 in a byte: above it some digits would come more often.
      if (byte < 248 && digits.length < count) digits += DIGITS.charAt(byte % 62)
    }
  }
  return digits
}

function checkDigits(text: string): string {
  let rest = crc32(text)
  let digits = ''
  while (rest > 0) {
    digits = DIGITS.charAt(rest % 62) + digits
    rest = Math.floor(rest / 62)
  }
  return digits.padStart(CHECK_DIGITS, '0')
}
