// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is how patterns of a users file are written
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tokenHash } from '../../src/auth/credentials/tokens.ts'
import { ADMIN_SECRET, identityFixture } from './identity-fixture.ts'
import { CERTIFICATE, CURVE_KEY, SECRETS, tableOf, USERS_XML, usersXml } from './users-fixture.ts'

const FROM = '192.0.2.1'

test('a listed token is its user, with the rights of the table', () => {
  const { directory } = identityFixture()
  const principal = directory.authenticate(SECRETS.jenkins, FROM)
  assert.equal(principal.user, 'jenkins')
  assert.deepEqual(principal.credential, {
    kind: 'token',
    id: 'jenkins-1',
    expiresMs: Date.UTC(2027, 10, 20),
  })
  assert.equal(principal.rights.may('publish', 'ci/jenkins/x'), true)
  assert.deepEqual(directory.rolesOf(principal), ['ci'])
})

test('certificates and CURVE keys are their user', () => {
  const { directory } = identityFixture()
  assert.equal(directory.authenticateCertificate(CERTIFICATE).user, 'jenkins')
  assert.equal(directory.authenticateCurveKey(CURVE_KEY).credential?.kind, 'curve-key')
  assert.throws(() => directory.authenticateCertificate('00'), { code: 'CREDENTIAL_INVALID' })
  assert.throws(() => directory.authenticateCurveKey(CERTIFICATE), { code: 'CREDENTIAL_INVALID' })
})

test('unknown secrets, hashes in place of secrets and expired tokens are refused', () => {
  const { directory } = identityFixture()
  for (const secret of ['', 'x', tokenHash(SECRETS.jenkins), SECRETS.expired]) {
    assert.throws(() => directory.authenticate(secret, FROM), { code: 'CREDENTIAL_INVALID' })
  }
})

test('many failures close a source to new credentials', () => {
  const { directory } = identityFixture()
  directory.authenticate(SECRETS.jenkins, FROM)
  for (let i = 0; i < 10; i += 1) {
    assert.throws(() => directory.authenticate(`guess ${i}`, FROM), { code: 'CREDENTIAL_INVALID' })
  }
  assert.throws(() => directory.authenticate(SECRETS.admin, FROM), { code: 'TOO_MANY_REQUESTS' })
  assert.equal(directory.authenticate(SECRETS.jenkins, FROM).user, 'jenkins')
  assert.equal(directory.authenticate(SECRETS.admin, '192.0.2.2').user, 'admin')
})

test('the administrator token has all rights, whatever the users file says', () => {
  const { directory } = identityFixture(usersXml(''))
  const principal = directory.authenticate(ADMIN_SECRET, FROM)
  assert.equal(principal.user, 'admin')
  assert.deepEqual(principal.credential, { kind: 'token', id: 'admin.token' })
  assert.equal(principal.rights.may('administer'), true)
  assert.equal(principal.rights.may('replace', 'config/broker_users.xml'), true)
  assert.equal(principal.rights.may('publish', 'a'), true)
  assert.deepEqual(directory.rolesOf(principal), [])
})

test('the administrator token ends with its file, for principals that it made too', () => {
  const { directory, adminToken } = identityFixture()
  const principal = directory.authenticate(ADMIN_SECRET, FROM)
  assert.equal(directory.renew(principal)?.user, 'admin')
  let changes = 0
  using _ = directory.onChange(() => {
    changes += 1
  })
  adminToken.set('dbk_anotheradministratortokenofthisone00')
  assert.equal(changes, 1)
  assert.equal(directory.renew(principal), undefined)
  adminToken.set(undefined)
  assert.equal(directory.renew(principal), undefined)
  assert.throws(() => directory.authenticate(ADMIN_SECRET, FROM), { code: 'CREDENTIAL_INVALID' })
})

test('a renewed principal is the same while nothing changed', () => {
  const { directory } = identityFixture()
  const principal = directory.authenticate(SECRETS.jenkins, FROM)
  assert.equal(directory.renew(principal), principal)
  assert.equal(directory.authenticate(SECRETS.jenkins, FROM), principal)
  assert.equal(directory.renew(directory.anonymous()), directory.anonymous())
})

test('a renewed principal has the rights of the table in force', () => {
  const { directory } = identityFixture()
  const jenkins = directory.authenticate(SECRETS.jenkins, FROM)
  const anonymous = directory.anonymous()
  directory.swap(
    tableOf(
      USERS_XML.replace('topics="ci/${user}/**"', 'topics="other/**"').replace(
        'topics="public/**"',
        'topics="open/**"',
      ),
    ),
  )
  const renewed = directory.renew(jenkins)
  assert.equal(renewed?.user, 'jenkins')
  assert.deepEqual(renewed?.credential, jenkins.credential)
  assert.equal(renewed?.rights.may('publish', 'ci/jenkins/x'), false)
  assert.equal(renewed?.rights.may('publish', 'other/x'), true)
  assert.equal(directory.renew(anonymous)?.rights.may('subscribe', 'open/x'), true)
})

test('a principal is not renewed when its credential is gone, moved, replaced or expired', () => {
  const { directory, clock } = identityFixture()
  const principal = directory.authenticate(SECRETS.jenkins, FROM)
  const hash = tokenHash(SECRETS.jenkins)
  directory.swap(tableOf(USERS_XML.replace(hash, '0'.repeat(64))))
  assert.equal(directory.renew(principal), undefined)
  directory.swap(tableOf(USERS_XML.replace('name="jenkins"', 'name="hudson"')))
  assert.equal(directory.renew(principal), undefined)
  directory.swap(tableOf(usersXml('')))
  assert.equal(directory.renew(principal), undefined)
  directory.swap(tableOf(USERS_XML))
  assert.equal(directory.renew(principal)?.user, 'jenkins')
  clock.ms = Date.UTC(2027, 10, 20)
  assert.equal(directory.renew(principal), undefined)
  assert.throws(() => directory.authenticate(SECRETS.jenkins, FROM), { code: 'CREDENTIAL_INVALID' })
})

test('a principal that the directory did not make is not renewed', () => {
  const { directory } = identityFixture()
  const copy = { ...directory.authenticate(SECRETS.jenkins, FROM) }
  assert.equal(directory.renew(copy), undefined)
})

test('listeners are told of each change, one that fails does not keep it from others', () => {
  const { directory } = identityFixture()
  const told: string[] = []
  using _ = directory.onChange(() => {
    throw new Error('broken')
  })
  const second = directory.onChange(() => told.push('second'))
  assert.throws(() => directory.swap(tableOf(USERS_XML)), AggregateError)
  second[Symbol.dispose]()
  assert.throws(() => directory.swap(tableOf(USERS_XML)), AggregateError)
  assert.deepEqual(told, ['second'])
})
