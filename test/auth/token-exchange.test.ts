import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SignJWT, UnsecuredJWT } from 'jose'
import { IssuerKeys } from '../../src/auth/workload/issuer-keys.ts'
import { TokenExchange } from '../../src/auth/workload/token-exchange.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { OidcIssuer } from '../support/oidc-issuer.ts'
import { identityFixture } from './identity-fixture.ts'
import { tableOf, usersXml } from './users-fixture.ts'

const REPOSITORY = '<claim name="repository" value="acme/app"/>'

function usersFor(issuer: string, claims = REPOSITORY, more = ''): string {
  const rule = `<oidc issuer="${issuer}" audience="broker"${more}>${claims}</oidc>`
  return usersXml(`
    <role name="ci"><allow actions="publish" topics="ci/\${user}/**"/></role>
    <user name="app" roles="ci">${rule}</user>`)
}

async function setUp(usersOf: (issuer: string) => string = usersFor, timeoutMs?: number) {
  const issuer = await OidcIssuer.start()
  const identity = identityFixture(usersOf(issuer.url))
  identity.clock.ms = Date.now()
  const { directory, throttle, now } = identity
  const exchange = new TokenExchange({
    directory,
    throttle,
    now,
    keys: new IssuerKeys(now, timeoutMs),
  })
  /** The reason for the log of a refusal. */
  const refused = async (token: string, user?: string, code = 'CREDENTIAL_INVALID') => {
    const error: unknown = await exchange.exchange(token, user, '192.0.2.1').then(
      () => assert.fail('it was accepted'),
      (thrown: unknown) => thrown,
    )
    assert.ok(error instanceof BrokerError, String(error))
    assert.equal(error.code, code)
    return error.cause instanceof Error ? error.cause.message : ''
  }
  const exchanged = (token: string, user?: string) => exchange.exchange(token, user, '192.0.2.1')
  return {
    ...{ ...identity, issuer, refused, exchanged },
    [Symbol.asyncDispose]: () => issuer[Symbol.asyncDispose](),
  }
}

test('a job that a rule means gets a token of the user for 15 minutes', async () => {
  await using place = await setUp()
  const { clock, directory, lastUses } = place
  const { secret, user, expiresMs } = await place.exchanged(await place.issuer.token())
  assert.equal(user, 'app')
  assert.match(secret, /^dbk_[0-9A-Za-z]{36}$/)
  const principal = directory.authenticate(secret, '192.0.2.2')
  assert.deepEqual([principal.user, principal.credential?.kind], ['app', 'oidc'])
  assert.equal(principal.credential?.expiresMs, expiresMs)
  assert.ok(principal.rights.may('publish', 'ci/app/build'))
  assert.ok(!principal.rights.may('publish', 'ci/other/build'))
  const [rule] = directory.table.workloadsOf(place.issuer.url)
  assert.ok(rule !== undefined)
  assert.equal(lastUses.of(rule), clock.ms)
  clock.ms = expiresMs - 1
  assert.equal(directory.renew(principal)?.user, 'app')
  clock.ms = expiresMs
  assert.equal(directory.renew(principal), undefined)
  assert.throws(() => directory.authenticate(secret, '192.0.2.2'), { code: 'CREDENTIAL_INVALID' })
})

test('a token ends with its rule, and with the end of its rule', async () => {
  const end = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000).toISOString()
  await using place = await setUp((url) => usersFor(url, REPOSITORY, ` expires="${end}"`))
  const { directory } = place
  const { secret, expiresMs } = await place.exchanged(await place.issuer.token())
  assert.equal(expiresMs, Date.parse(end))
  const principal = directory.authenticate(secret, '192.0.2.2')
  directory.swap(tableOf(usersFor(place.issuer.url, REPOSITORY, ' note="same rule"')))
  assert.equal(directory.renew(principal)?.user, 'app')
  directory.swap(tableOf(usersFor(place.issuer.url, '<claim name="repository" value="acme/*"/>')))
  assert.equal(directory.renew(principal), undefined)
  directory.swap(tableOf(usersFor(place.issuer.url)))
  assert.throws(() => directory.authenticate(secret, '192.0.2.2'), { code: 'CREDENTIAL_INVALID' })
})

test('claims that no rule means are refused before the issuer is asked for anything', async () => {
  await using place = await setUp()
  const { issuer, refused } = place
  const reason = /no rule for the issuer means/
  assert.match(await refused(await issuer.token({ repository: 'evil/app' })), reason)
  assert.match(await refused(await issuer.token({ repository: ['acme/app'] })), reason)
  assert.match(await refused(await issuer.token({ repository: undefined })), reason)
  assert.match(await refused(await issuer.token({ aud: 'other' })), reason)
  assert.match(await refused(await issuer.token({ aud: ['broker', 'other'] })), reason)
  assert.match(await refused(await issuer.token({ iss: `${issuer.url}/` })), /no user has a rule/)
  assert.match(await refused(await issuer.token(), 'nobody'), reason)
  assert.match(await refused('x'), /JWT/)
  assert.match(await refused('x'.repeat(20_000)), /too long/)
  assert.deepEqual(issuer.requests, [])
  await place.exchanged(await issuer.token({ aud: ['broker'] }))
})

test('a token is refused that is not signed by a key of the issuer with an algorithm of ours', async () => {
  await using place = await setUp()
  await using other = await OidcIssuer.start()
  const { issuer, refused } = place
  const { url: iss } = issuer
  assert.match(await refused(await other.token({ iss })), /signature verification failed/)
  const claims = { iss, aud: 'broker', sub: 's', repository: 'acme/app' }
  const now = Math.floor(Date.now() / 1000)
  const unsigned = new UnsecuredJWT({ ...claims, iat: now, exp: now + 60 }).encode()
  await refused(unsigned)
  const shared = new SignJWT({ ...claims, iat: now, exp: now + 60 })
    .setProtectedHeader({ alg: 'HS256', kid: 'key-1' })
    .sign(new TextEncoder().encode('x'.repeat(64)))
  assert.match(await refused(await shared), /"alg"/)
  const [head, , signature] = (await issuer.token()).split('.')
  const [, body] = (await issuer.token({ ref: 'refs/heads/other' })).split('.')
  assert.match(await refused(`${head}.${body}.${signature}`), /signature verification failed/)
  assert.match(await refused(await issuer.token({}, { typ: 'at+jwt' })), /type is another/)
})

test('times are held to, with a minute for clocks that differ', async () => {
  await using place = await setUp()
  const { issuer, refused, exchanged } = place
  const now = Math.floor(place.clock.ms / 1000)
  assert.match(await refused(await issuer.token({ exp: now - 61 })), /"exp"/)
  assert.match(await refused(await issuer.token({ exp: undefined })), /"exp"/)
  assert.match(await refused(await issuer.token({ iat: undefined })), /"iat"/)
  assert.match(await refused(await issuer.token({ iat: now + 90, exp: now + 300 })), /"iat"/)
  assert.match(
    await refused(await issuer.token({ iat: now - 2 * 86_400, exp: now + 1e9 })),
    /"iat"/,
  )
  assert.match(await refused(await issuer.token({ nbf: now + 90 })), /"nbf"/)
  assert.match(await refused(await issuer.token({ sub: undefined })), /"sub"/)
  await exchanged(await issuer.token({ exp: now - 30 }))
  await exchanged(await issuer.token({ iat: now + 30, nbf: now + 30 }))
})

test('a workload that rules of several users mean names one', async () => {
  await using place = await setUp((url) =>
    usersXml(`
      <user name="build"><oidc issuer="${url}" audience="broker">${REPOSITORY}</oidc></user>
      <user name="deploy"><oidc issuer="${url}" audience="broker">${REPOSITORY}
        <claim name="ref" value="refs/heads/*"/></oidc></user>`),
  )
  const { issuer, refused, exchanged } = place
  assert.match(await refused(await issuer.token()), /several users/)
  assert.equal((await exchanged(await issuer.token(), 'deploy')).user, 'deploy')
  assert.equal((await exchanged(await issuer.token({ ref: 'refs/tags/1' }))).user, 'build')
  await refused(await issuer.token({ ref: 'refs/tags/1' }), 'deploy')
})

test('keys are asked for once, and for an unknown one at most once a minute', async (t) => {
  await using place = await setUp()
  const { issuer, refused, exchanged, clock } = place
  const asked = () => issuer.requests.filter((path) => path === '/keys').length
  await Promise.all([exchanged(await issuer.token()), exchanged(await issuer.token())])
  assert.deepEqual(issuer.requests, ['/.well-known/openid-configuration', '/keys'])
  await issuer.rotate()
  for (let i = 0; i < 3; i += 1)
    assert.match(await refused(await issuer.token()), /no applicable key/)
  assert.equal(asked(), 1)
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 61_000 })
  clock.ms = Date.now()
  await exchanged(await issuer.token())
  await issuer.rotate('ES256', false)
  for (let i = 0; i < 3; i += 1) await refused(await issuer.token())
  assert.equal(asked(), 2)
})

test('an issuer that fails is 503, not the fault of the job, and left in peace for a while', async () => {
  await using place = await setUp()
  const { issuer, refused, exchanged, clock } = place
  const token = await issuer.token()
  issuer.answer = (_, response) => {
    response.writeHead(302, { location: `${issuer.url}/keys` }).end()
    return true
  }
  for (let i = 0; i < 20; i += 1) await refused(token, undefined, 'UNAVAILABLE')
  assert.equal(issuer.requests.length, 1)
  const wrong = [
    { issuer: `${issuer.url}/other`, jwks_uri: `${issuer.url}/keys` },
    { issuer: issuer.url, jwks_uri: 'http://127.0.0.2:1/keys' },
    { issuer: issuer.url, jwks_uri: 7 },
    null,
    { issuer: issuer.url, jwks_uri: `${issuer.url}/keys`, padding: 'x'.repeat(300_000) },
  ]
  for (const metadata of wrong) {
    issuer.answer = (path, response) => {
      if (path === '/keys') return false
      response.end(JSON.stringify(metadata))
      return true
    }
    clock.ms += 10_000
    await refused(token, undefined, 'UNAVAILABLE')
  }
  issuer.answer = (path, response) => {
    if (path === '/keys') response.end('{"keys":"none"}')
    return path === '/keys'
  }
  clock.ms += 10_000
  await refused(token, undefined, 'UNAVAILABLE')
  issuer.answer = undefined
  await exchanged(token)
})

test('an issuer that does not answer, or not to the end, is given up', async () => {
  await using place = await setUp(usersFor, 100)
  const { issuer, refused, clock } = place
  const token = await issuer.token()
  issuer.answer = () => true
  await refused(token, undefined, 'UNAVAILABLE')
  issuer.answer = (path, response) => path === '/keys' && response.write('{"keys":[') !== undefined
  clock.ms += 10_000
  await refused(token, undefined, 'UNAVAILABLE')
  assert.deepEqual(issuer.requests.slice(1), ['/.well-known/openid-configuration', '/keys'])
})

test('many refused tokens from one address are answered with a time to wait', async () => {
  await using place = await setUp()
  for (let i = 0; i < 10; i += 1) {
    await place.refused(await place.issuer.token({ repository: `guess/${i}` }))
  }
  const error = await place.refused(await place.issuer.token(), undefined, 'TOO_MANY_REQUESTS')
  assert.equal(error, '')
})
