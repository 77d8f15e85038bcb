// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is how patterns of a users file are written
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addToken,
  addUser,
  limitToken,
  removeToken,
  removeUser,
  tokenElement,
} from '../../src/auth/users-file/edit-users-file.ts'
import { fileOf, parseText, SECRETS, USERS_XML, usersXml } from './users-fixture.ts'

const TOKEN = { id: 'new-1', sha256: '5'.repeat(64) }
const ELEMENT = `<token id="new-1" sha256="${'5'.repeat(64)}"/>`

function edited(result: ReturnType<typeof addToken>): string {
  assert.ok(result.ok, result.ok ? '' : result.error)
  return result.value
}

test('an element has what the token has, escaped', () => {
  const token = { ...TOKEN, expiresMs: Date.UTC(2027, 10, 20), note: 'a "b" <c> & d\n' }
  assert.equal(
    tokenElement(token),
    `<token id="new-1" sha256="${'5'.repeat(64)}" expires="2027-11-20T00:00:00Z" note="a &quot;b&quot; &lt;c&gt; &amp; d "/>`,
  )
  const [user] = fileOf(edited(addToken(usersXml('<user name="a"/>'), 'a', token))).users
  assert.deepEqual(
    user?.credentials,
    [
      { kind: 'token', value: TOKEN.sha256, ...token, sha256: undefined, note: 'a "b" <c> & d ' },
    ].map(({ sha256: _, ...rest }) => rest),
  )
})

test('a user without content is opened for the token', () => {
  const text = usersXml('  <user name="a" roles="" />\n  <!-- end -->')
  assert.equal(
    edited(addToken(text, 'a', TOKEN)),
    usersXml(`  <user name="a" roles="">\n    ${ELEMENT}\n  </user>\n  <!-- end -->`),
  )
})

test('a token comes after the tokens that are there, else first', () => {
  const added = edited(addToken(USERS_XML, 'jenkins', TOKEN)).split('\n')
  const line = added.indexOf(`    ${ELEMENT}`)
  assert.ok(added[line - 1]?.includes('id="jenkins-0"'))
  assert.ok(added[line + 1]?.includes('<certificate'))
  added.splice(line, 1)
  assert.equal(added.join('\n'), USERS_XML)
  assert.equal(
    edited(addToken(usersXml('  <user name="a">\n    <!-- x -->\n  </user>'), 'a', TOKEN)),
    usersXml(`  <user name="a">\n    ${ELEMENT}\n    <!-- x -->\n  </user>`),
  )
  assert.equal(
    edited(addToken(usersXml('<user name="a"></user>'), 'a', TOKEN)),
    usersXml(`<user name="a">\n  ${ELEMENT}\n</user>`),
  )
})

test('tags in comments and values mislead no edit', () => {
  const text = usersXml(
    `<!-- <user name="a"/> --><user\n  name='a'\n><!-- </user> --><token id="t>/" sha256="${'6'.repeat(64)}"/></user>`,
  ).replace('t>/', 't')
  const added = edited(addToken(text, 'a', { ...TOKEN, note: '/> </user>' }))
  assert.equal(fileOf(added).users[0]?.credentials.length, 2)
  assert.equal(fileOf(edited(removeToken(added, 't'))).users[0]?.credentials[0]?.note, '/> </user>')
})

test('line ends and a byte order mark stay as they are', () => {
  const text = `\ufeff${USERS_XML.replaceAll('\n', '\r\n')}`
  const added = edited(addToken(text, 'ann', TOKEN))
  assert.ok(added.startsWith('\ufeff<?xml'))
  assert.ok(!/[^\r]\n/.test(added))
  const without = edited(removeToken(added, 'new-1'))
  assert.equal(
    without.replace('>\r\n  </user>\r\n  <user name="bob"', '/>\r\n  <user name="bob"'),
    text,
  )
})

test('places on a first line with a byte order mark are found', () => {
  const text = '\ufeff<broker-users version="1"><user name="a"/></broker-users>'
  const added = edited(addToken(text, 'a', TOKEN))
  assert.equal(
    added,
    `\ufeff<broker-users version="1"><user name="a">\n  ${ELEMENT}\n</user></broker-users>`,
  )
})

test('a token is removed with its line, and nothing else is', () => {
  const without = edited(removeToken(USERS_XML, 'jenkins-1'))
  const expected = USERS_XML.split('\n').filter((line) => !line.includes('id="jenkins-1"'))
  assert.equal(without, expected.join('\n'))
  const one = `<token id="t" sha256="${'6'.repeat(64)}"></token>`
  assert.equal(
    edited(removeToken(usersXml(`<user name="a">${one}<!-- x --></user>`), 't')),
    usersXml('<user name="a"><!-- x --></user>'),
  )
})

test('an edit that would leave no valid file is refused in words', () => {
  const refused = [
    addToken(USERS_XML, 'nobody', TOKEN),
    addToken(USERS_XML, 'jenkins', { ...TOKEN, id: 'jenkins-1' }),
    addToken(USERS_XML, 'jenkins', { ...TOKEN, id: 'a b' }),
    addToken(USERS_XML, 'jenkins', { ...TOKEN, note: 'x'.repeat(600) }),
    addToken('<broker-users', 'jenkins', TOKEN),
    addToken(usersXml('<user name="a" x=""/>'), 'a', TOKEN),
    removeToken(USERS_XML, 'nothing'),
    removeToken('', 'jenkins-1'),
  ]
  for (const result of refused) {
    assert.ok(!result.ok)
    assert.ok(!result.error.includes(SECRETS.jenkins))
  }
})

test('what is added and removed again leaves the same users', () => {
  const user = fc.constantFrom('admin', 'jenkins', 'ann', 'bob')
  const note = fc.string({ unit: 'grapheme', maxLength: 30 })
  fc.assert(
    fc.property(fc.array(fc.tuple(user, note), { minLength: 1, maxLength: 5 }), (adds) => {
      let text = USERS_XML
      for (const [i, [name, note]] of adds.entries()) {
        const token = { id: `new-${i}`, sha256: `${i}`.repeat(64), note }
        text = edited(addToken(text, name, token))
      }
      for (const i of adds.keys()) text = edited(removeToken(text, `new-${i}`))
      const lines = (file: ReturnType<typeof fileOf>) =>
        JSON.stringify(file).replaceAll(/"line":\d+/g, '')
      assert.equal(lines(fileOf(text)), lines(fileOf(USERS_XML)))
    }),
    { numRuns: 50 },
  )
})

test('the shipped users file is valid, has no credential, and takes tokens', async () => {
  const text = await readFile(new URL('../../config/broker_users.xml', import.meta.url), 'utf8')
  const { roles, users, anonymousRoles } = fileOf(text)
  assert.deepEqual(
    users.map(({ name, roles, credentials, grants }) => [
      name,
      ...roles,
      ...credentials,
      ...grants,
    ]),
    [
      ['admin', 'administrator'],
      ['jenkins', 'ci'],
      ['dashboard', 'dashboard'],
      ['reader', 'reader'],
    ],
  )
  assert.deepEqual(anonymousRoles, ['public'])
  assert.deepEqual(
    roles.map(({ name, grants }) => [
      name,
      ...grants.map(({ effect, actions, pattern }) => `${effect} ${actions.join(' ')} ${pattern}`),
    ]),
    [
      [
        'administrator',
        'allow publish subscribe **',
        'allow list read create replace delete **',
        'allow administer observe ',
      ],
      ['ci', 'allow publish ci/${user}/**', 'allow list read create builds/${user}/**'],
      [
        'dashboard',
        'allow subscribe ci/**',
        'allow subscribe files/builds/**',
        'allow list read builds/**',
      ],
      ['reader', 'allow subscribe **', 'allow list read **'],
      ['public'],
    ],
  )
  assert.equal(parseText(text, false).ok, false)
  assert.equal(parseText(edited(addToken(text, 'admin', TOKEN)), false).ok, true)
})

test('a user comes after the users that are there, else after the roles, and a comment stays where it was', () => {
  const text = usersXml('\t<user name="a"/> <!-- of a -->\n\t<anonymous/>')
  assert.equal(
    edited(addUser(text, 'b', [])),
    usersXml('\t<user name="a"/> <!-- of a -->\n\t<user name="b"/>\n\t<anonymous/>'),
  )
  assert.equal(
    edited(addUser(usersXml('  <role name="r"/>\n  <anonymous/>'), 'b', ['r'])),
    usersXml('  <role name="r"/>\n  <user name="b" roles="r"/>\n  <anonymous/>'),
  )
  assert.equal(
    edited(addUser('<broker-users version="1"/>', 'b', [])),
    '<broker-users version="1">\n  <user name="b"/>\n</broker-users>',
  )
})

test('a user that is there already, or with an unknown role, is not added', () => {
  const text = usersXml('<user name="a"/>')
  assert.match(failureOf(addUser(text, 'A', [])), /line 3: the user "A" is there already/)
  assert.match(failureOf(addUser(text, 'b', ['none'])), /unknown role "none"/)
})

test('a user is removed with all that is in it, and nothing else is', () => {
  const text = usersXml(
    '  <!-- x -->\n  <user name="a">\n    <!-- y -->\n  </user>\n  <user name="b"/>',
  )
  assert.equal(edited(removeUser(text, 'a')), usersXml('  <!-- x -->\n  <user name="b"/>'))
  assert.match(failureOf(removeUser(text, 'c')), /no user "c"/)
})

test('a token is given an end, or another one, and a note that looks like one stays', () => {
  const at = Date.UTC(2027, 0, 2)
  const sha256 = '6'.repeat(64)
  const within = (token: string) => usersXml(`<user name="a">${token}</user>`)
  const limited = (token: string) => edited(limitToken(within(token), 't', at))
  const note = `note="x expires='2026-01-01T00:00:00Z'"`
  assert.equal(
    limited(`<token id="t" ${note}\n  sha256="${sha256}" />`),
    within(`<token id="t" ${note}\n  sha256="${sha256}" expires="2027-01-02T00:00:00Z" />`),
  )
  assert.equal(
    limited(`<token ${note} expires='2030-01-01T00:00:00Z' id="t" sha256="${sha256}"/>`),
    within(`<token ${note} expires="2027-01-02T00:00:00Z" id="t" sha256="${sha256}"/>`),
  )
  assert.match(failureOf(limitToken(USERS_XML, 'none', at)), /no token "none"/)
})

function failureOf(result: ReturnType<typeof addToken>): string {
  assert.ok(!result.ok)
  return result.error
}
