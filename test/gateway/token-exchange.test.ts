import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway, type TestGateway, USERS_XML } from '../support/gateway.ts'
import { OidcIssuer } from '../support/oidc-issuer.ts'
import { TestSocket } from '../support/test-socket.ts'

function usersFor(issuer: string): string {
  const rule = `<oidc issuer="${issuer}" audience="broker"><claim name="repository" value="acme/app"/></oidc>`
  return USERS_XML.replace(
    '<anonymous',
    `<user name="app" roles="ci reader">${rule}</user>\n  <anonymous`,
  )
}

/** Sends the fields as curl does with `-d`. */
function post(broker: TestGateway, fields: Record<string, string>): Promise<Response> {
  return broker.request('/auth/token', { method: 'POST', body: new URLSearchParams(fields) })
}

async function tokenOf(broker: TestGateway, subject_token: string): Promise<string> {
  const response = await post(broker, { subject_token })
  assert.equal(response.status, 200)
  const { access_token: token } = (await response.json()) as { access_token: string }
  return token
}

test('a job exchanges its token as RFC 8693 says, as a form or as JSON, and works with it', async () => {
  await using issuer = await OidcIssuer.start()
  await using broker = await startGateway({}, usersFor(issuer.url))
  const fields = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: await issuer.token(),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    scope: 'of no meaning here',
  }
  const response = await post(broker, fields)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const { access_token: token, ...rest } = (await response.json()) as { access_token: string }
  assert.deepEqual(rest, {
    ...{ issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer' },
    ...{ expires_in: 900, user: 'app' },
  })
  const published = await broker.request('/events/ci/app/build', {
    ...{ method: 'POST', body: '{}' },
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  })
  assert.equal(published.status, 201)
  const json = await broker.request('/auth/token', {
    ...{ method: 'POST', body: JSON.stringify({ subject_token: fields.subject_token }) },
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(json.status, 200)
})

test('a refusal tells no reason, and a request that is none is 400', async () => {
  await using issuer = await OidcIssuer.start()
  await using broker = await startGateway({}, usersFor(issuer.url))
  const details = new Set<string>()
  for (const claims of [
    { repository: 'evil/app' },
    { aud: 'x' },
    { iss: 'https://x.example' },
    { exp: 1 },
  ]) {
    const response = await post(broker, { subject_token: await issuer.token(claims) })
    assert.equal(response.status, 401)
    assert.ok(response.headers.get('www-authenticate'))
    const { code, detail } = (await response.json()) as { code: string; detail: string }
    assert.equal(code, 'CREDENTIAL_INVALID')
    details.add(detail)
  }
  assert.equal(details.size, 1)
  assert.equal((await post(broker, {})).status, 400)
  assert.equal((await post(broker, { subject_token: 'x', grant_type: 'password' })).status, 400)
  const twice = { method: 'POST', body: 'subject_token=a&subject_token=b' }
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  assert.equal((await broker.request('/auth/token', { ...twice, headers })).status, 400)
  const large = { method: 'POST', body: `subject_token=${'x'.repeat(40_000)}`, headers }
  assert.equal((await broker.request('/auth/token', large)).status, 413)
  const form = { method: 'POST', body: 'purpose=events', headers }
  assert.equal((await broker.request('/auth/tickets', { ...form, as: 'jenkins' })).status, 415)
})

test('a changed users file ends the token and its connections, a restart the token', async () => {
  await using issuer = await OidcIssuer.start()
  await using broker = await startGateway({}, usersFor(issuer.url))
  const token = await tokenOf(broker, await issuer.token())
  const as = (on: TestGateway, secret: string) =>
    on.request('/auth/me', { headers: { authorization: `Bearer ${secret}` } })
  assert.equal((await as(broker, token)).status, 200)
  await using socket = await TestSocket.open(`${broker.wsUrl}/events/ci/**`, { token })
  const put = { method: 'PUT', as: 'admin', body: USERS_XML } as const
  assert.equal((await broker.request('/files/config/broker_users.xml', put)).status, 200)
  assert.equal((await socket.closed).code, 4401)
  assert.equal((await as(broker, token)).status, 401)
  const back = { ...put, body: usersFor(issuer.url) }
  assert.equal((await broker.request('/files/config/broker_users.xml', back)).status, 200)
  const other = await tokenOf(broker, await issuer.token())
  await using restarted = await broker.restart()
  assert.equal((await as(restarted, other)).status, 401)
})
