import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createToken, hasTokenChecksum, tokenHash } from '../src/auth/credentials/tokens.ts'
import { secretsIn as secretsInLog } from './support/secrets-in-logs.ts'

const ROOT = join(import.meta.dirname, '..')

/** That they are refused, or not shown, is what tests look at. */
const ADDRESSES_OF_TESTS: readonly string[] = [
  'http://token:dbk_x@b.example',
  'nats://u:secret@h',
  'https://u:p@a',
  'https://u:hunter2@x',
]

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
  {
    what: 'a key of AWS or Google, or a token of GitHub, GitLab, npm or Slack',
    find: (text) =>
      text.match(
        /\b(?:A(?:KIA|SIA)[0-9A-Z]{16}|AIza[\w-]{35}|gh[oprsu]_\w{36}|github_pat_\w{22}|glpat-[\w-]{20}|npm_\w{36}|xox[abeprs]-[\w-]{10})/g,
      ) ?? [],
  },
  {
    what: 'a signed JWT',
    find: (text) => text.match(/\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}/g) ?? [],
  },
  {
    what: 'a password of an address',
    find: (text) =>
      (text.match(/\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@"'`<>$]+:[^\s/@"'`<>$]+@[\w.-]+/g) ?? []).filter(
        (url) => !ADDRESSES_OF_TESTS.includes(url),
      ),
  },
]

function secretsIn(text: string): string[] {
  return SECRETS.flatMap(({ what, find }) => find(text).map(() => what))
}

test('no file of the repository holds a token, a private key or a password of an address', (t) => {
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
  // In pieces: the search above reads this file, too.
  const found = [
    ['AKIA', 'A'.repeat(16)],
    ['ghp_', 'a1'.repeat(18)],
    ['glpat-', 'a1'.repeat(10)],
    ['npm_', 'a1'.repeat(18)],
    ['eyJhbGciOiJIUzI1NiJ9', '.eyJzdWIiOiJqZW5raW5zIn0.', 'a'.repeat(43)],
    ['nats://broker:', 'kept-from-others', '@nats.example:4222'],
  ]
  for (const pieces of found) assert.equal(secretsIn(pieces.join('')).length, 1, pieces[0])
  assert.deepEqual(secretsIn('dbk_jenkins-for-tests-000000000000000000000'), [])
})

test('the search of the logs finds what it looks for, and no digest, id or name', () => {
  const token = createToken()
  const basic = Buffer.from(`jenkins:${token}`).toString('base64')
  for (const [text, known] of [
    [`{"authorization":"Bearer ${token}"}`, []],
    [`{"authorization":"Basic ${basic}"}`, []],
    [['?ticket=eyJhbGciOiJIUzI1NiJ9', '.eyJzdWIiOiJqZW5raW5zIn0.', 'a'.repeat(43)].join(''), []],
    [
      'the key is rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7',
      ['rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'],
    ],
  ] as const) {
    assert.equal(secretsInLog(text, known).length, 1, text)
  }
  const digest = tokenHash(token)
  for (const text of [
    `{"sha256":"${digest}","etag":"sha256-${Buffer.from(digest, 'hex').toString('base64url')}"}`,
    '{"requestId":"01AN4Z07BY79KA1307SR9X4MV3","url":"/files/builds/jenkins/dbk_notes.txt"}',
    '{"credential":{"kind":"token","id":"jenkins-1"},"user":"jenkins","msg":"dbk_[redacted]"}',
  ]) {
    assert.deepEqual(secretsInLog(text), [])
  }
})
