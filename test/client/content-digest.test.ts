import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { reprDigest, statedSha256 } from '../../src/client/files/content-digest.ts'

test('a digest is stated and read back, from Repr-Digest and from the ETag', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (content) => {
      const hash = createHash('sha256').update(content)
      const hex = hash.copy().digest('hex')
      const value = `sha-256=:${hash.copy().digest('base64')}:`
      assert.equal(reprDigest(hex), value)
      assert.equal(statedSha256(new Headers({ 'repr-digest': value })), hex)
      const etag = `"sha256-${hash.digest('base64url')}"`
      assert.equal(statedSha256(new Headers({ etag })), hex)
    }),
  )
})

test('other digests and other ETags state nothing', () => {
  for (const [name, value] of [
    ['etag', '"abc"'],
    ['repr-digest', 'sha-512=:AAAA:'],
    ['repr-digest', `xsha-256=:${'A'.repeat(43)}=:`],
  ] as const) {
    assert.equal(statedSha256(new Headers({ [name]: value })), undefined)
  }
})

test('what is no SHA-256 is refused', () => {
  assert.throws(() => reprDigest('abc'), { code: 'DIGEST_INVALID' })
})
