import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createToken, hasTokenChecksum } from '../src/auth/credentials/tokens.ts'

const ROOT = join(import.meta.dirname, '..')

/** What a file must not hold: `found` of the text, and that it is no mere look-alike. */
const SECRETS: readonly { readonly what: string; find(text: string): readonly string[] }[] = [
  {
    what: 'a token whose checksum is right',
    find: (text) =>
      (text.match(/dbk_[0-9A-Za-z]{36}(?![0-9A-Za-z])/g) ?? []).filter(hasTokenChecksum),
  },
  {
    what: 'a private key',
    // The head alone is a word of code; with what follows it is a key.
    find: (text) =>
      text.match(/-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{32,}/g) ?? [],
  },
]

function secretsIn(text: string): string[] {
  return SECRETS.flatMap(({ what, find }) => find(text).map(() => what))
}

test('no file of the repository holds a token or a private key', (t) => {
  const { status, stdout } = spawnSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: ROOT, encoding: 'utf8' },
  )
  if (status !== 0) return t.skip('this is no clone of the repository')
  const names = stdout.split('\0').filter((name) => name !== '')
  assert.ok(names.length > 100)
  const faults = names.flatMap((name) => {
    try {
      return secretsIn(readFileSync(join(ROOT, name), 'latin1')).map((what) => `${name}: ${what}`)
    } catch {
      // A link to a directory, or a file that is deleted and not committed yet.
      return []
    }
  })
  assert.deepEqual(faults, [])
})

test('the search finds what it looks for', () => {
  assert.equal(secretsIn(`token: "${createToken()}"`).length, 1)
  const head = ['-----BEGIN', 'EC PRIVATE KEY-----'].join(' ')
  assert.equal(secretsIn(`${head}\n${'A'.repeat(64)}\n`).length, 1)
  assert.deepEqual(secretsIn('dbk_jenkins-for-tests-000000000000000000000'), [])
})
