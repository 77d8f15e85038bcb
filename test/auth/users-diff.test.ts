import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diffUsers, isSameUsers } from '../../src/auth/users-file/users-diff.ts'
import { fileOf, SECRETS, USERS_XML, usersXml } from './users-fixture.ts'

const NOTHING = { gained: [], lost: [] }

function diff(before: string, after: string) {
  return diffUsers(fileOf(before), fileOf(after))
}

test('order, layout, notes and the grouping of actions are no difference', () => {
  const before = usersXml(`
    <role name="r"><allow actions="list read" files="a/**"/><deny actions="read" files="a/b"/></role>
    <user name="a" roles="r"><token id="t" sha256="${'1'.repeat(64)}" note="x"/></user><user name="b"/>`)
  const after = usersXml(`
    <user name="b"/><user name="a" roles="r"><token id="t" sha256="${'1'.repeat(64)}"/></user>
    <role name="r"><deny actions="read" files="a/b"/><allow actions="read" files="a/**"/>
    <allow actions="list" files="a/**"/></role>`)
  assert.ok(isSameUsers(diff(before, after)))
  assert.ok(isSameUsers(diff(USERS_XML, USERS_XML)))
})

test('a role tells which actions are gained and lost, and for how many users', () => {
  const after = USERS_XML.replace(
    '<allow actions="list read" files="**"/>',
    '<allow actions="list delete" files="**"/>',
  )
  const about = { effect: 'allow', kind: 'files', pattern: '**' }
  const { roles, users } = diff(USERS_XML, after)
  assert.deepEqual(users, [])
  assert.deepEqual(roles, [
    {
      name: 'reader',
      change: 'changed',
      users: 2,
      grants: {
        gained: [{ ...about, actions: ['delete'] }],
        lost: [{ ...about, actions: ['read'] }],
      },
    },
  ])
})

test('users are added, removed and changed in roles, grants and credentials', () => {
  const after = USERS_XML.replace('  <user name="ann" roles="reader"/>\n', '')
    .replace('<user name="bob" roles="reader"/>', '<user name="bob" roles="ci"/><user name="eve"/>')
    .replace('<deny actions="create" files="builds/jenkins/release/**"/>', '')
    .replace('expires="2027-11-20T00:00:00Z"', 'expires="2027-11-21T00:00:00Z"')
    .replace('<anonymous roles="public"/>', '')
  const { roles, users, anonymousRoles } = diff(USERS_XML, after)
  assert.deepEqual(roles, [])
  assert.deepEqual(anonymousRoles, { gained: [], lost: ['public'] })
  const [jenkins, bob, eve, ann] = users
  assert.deepEqual(
    [bob, eve, ann],
    [
      {
        ...{ name: 'bob', change: 'changed', roles: { gained: ['ci'], lost: ['reader'] } },
        ...{ grants: NOTHING, credentials: NOTHING },
      },
      { name: 'eve', change: 'added', roles: NOTHING, grants: NOTHING, credentials: NOTHING },
      {
        ...{ name: 'ann', change: 'removed', roles: { gained: [], lost: ['reader'] } },
        ...{ grants: NOTHING, credentials: NOTHING },
      },
    ],
  )
  assert.equal(jenkins?.grants.lost[0]?.effect, 'deny')
  assert.deepEqual(
    [jenkins?.credentials.lost, jenkins?.credentials.gained].map((list) =>
      list?.map(({ id }) => id),
    ),
    [['jenkins-1'], ['jenkins-1']],
  )
})

test('a token in the place of another with the same id is lost and gained', () => {
  const after = USERS_XML.replace(/(id="admin-1" sha256=")[0-9a-f]+/, `$1${'7'.repeat(64)}`)
  assert.notEqual(after, USERS_XML)
  assert.ok(!after.includes(SECRETS.admin))
  const [admin] = diff(USERS_XML, after).users
  assert.deepEqual([admin?.credentials.lost.length, admin?.credentials.gained.length], [1, 1])
})
