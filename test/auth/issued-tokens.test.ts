import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tokenHash } from '../../src/auth/credentials/tokens.ts'
import { NO_RIGHTS } from '../../src/auth/principal.ts'
import { ISSUED_SECONDS, IssuedTokens } from '../../src/auth/workload/issued-tokens.ts'

function principalOf(user: string) {
  return { user, rights: NO_RIGHTS, credential: null }
}

test('a token is known by its hash until it is forgotten', () => {
  const clock = { ms: 0 }
  const tokens = new IssuedTokens(() => clock.ms)
  const app = principalOf('app')
  const first = tokenHash(tokens.issue(app))
  assert.equal(tokens.principal(first), app)
  assert.equal(tokens.principal(tokenHash('dbk_other')), undefined)
  clock.ms = ISSUED_SECONDS * 1000
  tokens.issue(app)
  assert.equal(tokens.principal(first), undefined)
})

test('one user has only so many at once, and others still get theirs', () => {
  const clock = { ms: 0 }
  const tokens = new IssuedTokens(() => clock.ms)
  for (let i = 0; i < 10_000; i += 1) tokens.issue(principalOf('app'))
  assert.throws(() => tokens.issue(principalOf('app')), { code: 'TOO_MANY_REQUESTS' })
  tokens.issue(principalOf('other'))
  clock.ms = ISSUED_SECONDS * 1000
  tokens.issue(principalOf('app'))
})
