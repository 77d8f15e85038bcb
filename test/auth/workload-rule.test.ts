import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMeantBy } from '../../src/auth/workload/workload-rule.ts'
import { faultsOf, fileOf, usersXml } from './users-fixture.ts'

const ABOUT = { issuer: 'https://ci.example', audience: 'broker' }
const CLAIMS = { iss: 'https://ci.example', aud: 'broker' }

function isLike(value: string, claim: unknown): boolean {
  return isMeantBy({ ...ABOUT, claims: [{ name: 'c', value }] }, { ...CLAIMS, c: claim })
}

test('a value is compared as a whole, and * stands for anything but /', () => {
  assert.ok(isLike('acme/app', 'acme/app'))
  assert.ok(isLike('acme/*', 'acme/app'))
  assert.ok(!isLike('acme/*', 'acme/app/other'))
  assert.ok(!isLike('acme/*', 'evil/acme/app'))
  assert.ok(isLike('refs/*/v*.0', 'refs/tags/v1.0'))
  assert.ok(!isLike('aba*aba', 'aba'))
  assert.ok(!isLike('acme/app', 'Acme/app'))
})

test('numbers and truths are compared as written, lists and objects never match', () => {
  assert.ok(isLike('42', 42))
  assert.ok(isLike('true', true))
  assert.ok(isLike('true', 'true'))
  for (const claim of [['a'], { a: 1 }, null, undefined, 1e21, 0.5]) assert.ok(!isLike('a*', claim))
  const rule = { ...ABOUT, claims: [{ name: 'toString', value: 'f*' }] }
  assert.ok(!isMeantBy(rule, CLAIMS))
})

test('* means what it means in the regular expression [^/]*', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 8 })
  fc.assert(
    fc.property(
      text,
      text.map((claim) => claim.replaceAll('*', 'a')),
      (value, claim) => {
        const pattern = new RegExp(`^${value.split('*').join('[^/]*')}$`)
        assert.equal(isLike(value, claim), pattern.test(claim))
      },
    ),
    { numRuns: 5000 },
  )
})

test('a rule of the users file is read with its claims, and stays itself in another order', () => {
  const file = (claims: string) =>
    fileOf(
      usersXml(`<user name="a"><oidc issuer="https://ci.example" audience="broker" note="n">
      ${claims}</oidc></user>`),
    ).users[0]?.credentials[0]
  const rule = file('<claim name="a" value="1"/><claim name="b" value="2*"/>')
  assert.deepEqual(rule?.workload, {
    ...ABOUT,
    claims: [
      { name: 'a', value: '1' },
      { name: 'b', value: '2*' },
    ],
  })
  assert.equal(file('<claim name="b" value="2*"/><claim name="a" value="1"/>')?.value, rule?.value)
})

test('a rule that is incomplete, or there for two users, is a fault', () => {
  const oidc = (inner: string, issuer = 'https://ci.example') =>
    `<oidc issuer="${issuer}" audience="broker">${inner}</oidc>`
  const messages = (...rules: string[]) =>
    faultsOf(usersXml(rules.map((rule, i) => `<user name="u${i}">${rule}</user>`).join('\n'))).map(
      ({ line, message }) => `${line}: ${message}`,
    )
  const claim = '<claim name="sub" value="x"/>'
  assert.deepEqual(messages(oidc(claim)), [])
  assert.match(messages(oidc(''))[0] ?? '', /^2: "oidc" has no "claim"/)
  assert.match(messages(oidc(claim, 'http://ci.example'))[0] ?? '', /no https URL/)
  assert.match(messages(oidc(claim + claim))[0] ?? '', /more than once/)
  assert.match(messages(oidc('<claim name="sub" value="*/*"/>'))[0] ?? '', /only of \* and \//)
  assert.match(
    messages(oidc(claim), oidc(claim))[0] ?? '',
    /^3: the same oidc is listed already in line 2/,
  )
})

test('a workload is no usable administrator', () => {
  const administrator = usersXml(`<role name="r"><allow actions="administer"/></role>
    <user name="a" roles="r"><oidc issuer="https://ci.example" audience="b"><claim name="sub" value="x"/></oidc></user>`)
  assert.match(faultsOf(administrator, false)[0]?.message ?? '', /no usable administrator/)
})
