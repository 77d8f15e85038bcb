// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is how patterns of a users file are written
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tokenHash } from '../../src/auth/credentials/tokens.ts'
import { UsersTable } from '../../src/auth/rights/users-table.ts'
import { readUsersFile } from '../../src/auth/users-file/read-users-file.ts'
import { shrinkFault } from '../../src/auth/users-file/users-shrink.ts'
import {
  CERTIFICATE,
  CURVE_KEY,
  fileOf,
  NOW_MS,
  SECRETS,
  tableOf,
  USERS_XML,
  usersXml,
} from './users-fixture.ts'

test('credentials are found by what the file lists of them, and by nothing else', () => {
  const table = tableOf(USERS_XML)
  const hash = tokenHash(SECRETS.jenkins)
  assert.equal(table.credential('token', hash)?.user, 'jenkins')
  assert.equal(table.credential('certificate', CERTIFICATE)?.user, 'jenkins')
  assert.equal(table.credential('curve-key', CURVE_KEY)?.user, 'jenkins')
  assert.equal(table.credential('certificate', hash), undefined)
  assert.equal(table.credential('token', SECRETS.jenkins), undefined)
  assert.equal(table.credential('token', ''), undefined)
})

test('the name of the user fills the patterns of that user alone', () => {
  const table = tableOf(USERS_XML)
  const jenkins = table.rightsOf('jenkins')
  assert.equal(jenkins?.may('publish', 'ci/jenkins/build'), true)
  assert.equal(jenkins?.may('publish', 'ci/other/build'), false)
  assert.equal(table.rightsOf('nobody'), undefined)
})

test('a grant with the name of the user never matches anonymous', () => {
  const rights = tableOf(USERS_XML).anonymousRights
  assert.equal(rights.may('subscribe', 'public/x'), true)
  for (const name of ['', 'null', 'undefined', 'anonymous', '${user}']) {
    assert.equal(rights.may('subscribe', `home/${name}/x`), false)
  }
  assert.equal(rights.overlaps('subscribe', 'home/**'), false)
})

test('users with the same roles and nothing of their own share their rights', () => {
  const table = tableOf(
    usersXml(`<role name="r"><allow actions="read" files="**"/></role>
      <role name="s"/><role name="u"><allow actions="publish" topics="\${user}"/></role>
      <user name="a" roles="r s"/><user name="b" roles="s r"/><user name="c" roles="r"/>
      <user name="d" roles="u"/><user name="e" roles="u"/>
      <user name="f" roles="r s"><deny actions="read" files="x"/></user>`),
  )
  const [a, b, c, d, e, f] = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => table.rightsOf(name))
  assert.equal(a, b)
  assert.equal(table.rightsOf('a'), a)
  assert.equal(new Set([a, c, d, e, f]).size, 5)
})

test('every credential of a very large file is found, parsed on a thread', async () => {
  const count = 20_000
  const users = Array.from(
    { length: count },
    (_, i) =>
      `<user name="user-${i}" roles="ci"><token id="t-${i}" sha256="${tokenHash(`secret ${i}`)}"/></user>`,
  )
  const role = '<role name="ci"><allow actions="publish" topics="ci/${user}/**"/></role>'
  const bytes = Buffer.from(usersXml(`${role}\n${users.join('\n')}`))
  const file = await readUsersFile(bytes, { nowMs: NOW_MS, hasAdminToken: true })
  assert.ok(file.ok)
  const table = new UsersTable(file.value)
  for (let i = 0; i < count; i += 1) {
    const credential = table.credential('token', tokenHash(`secret ${i}`))
    assert.equal(credential?.user, `user-${i}`)
    assert.equal(credential?.id, `t-${i}`)
  }
  assert.equal(table.credential('token', tokenHash(`secret ${count}`)), undefined)
  assert.equal(table.rightsOf('user-19999')?.may('publish', 'ci/user-19999/x'), true)
  assert.equal(table.rightsOf('user-19999')?.may('publish', 'ci/user-1999/x'), false)
})

test('a very large file with a fault is refused with its place', async () => {
  const bytes = Buffer.from(usersXml(`${'<role name="a"/>\n'.repeat(2)}${' '.repeat(100_000)}`))
  const file = await readUsersFile(bytes, { nowMs: NOW_MS, hasAdminToken: true })
  assert.ok(!file.ok)
  assert.deepEqual(
    file.error.map(({ line, column }) => [line, column]),
    [[3, 1]],
  )
})

test('losing more than half of ten or more users is a fault that asks to be confirmed', () => {
  const usersNamed = (...names: readonly number[]) =>
    fileOf(usersXml(names.map((name) => `<user name="u${name}"/>`).join('')))
  const ten = usersNamed(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
  assert.equal(shrinkFault(ten, usersNamed(0, 1, 2, 3, 4)), undefined)
  assert.ok(shrinkFault(ten, usersNamed(0, 1, 2, 3))?.message.includes('X-Confirm-Shrink'))
  assert.ok(shrinkFault(ten, usersNamed(0, 1, 2, 3, 11, 12, 13, 14, 15, 16)))
  assert.equal(shrinkFault(usersNamed(0, 1, 2, 3, 4, 5, 6, 7, 8), usersNamed()), undefined)
})
