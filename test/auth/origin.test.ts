import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  isForbiddenOrigin,
  type OriginFacts,
  type OriginRules,
} from '../../src/auth/credentials/origin.ts'

const NOBODY: OriginRules = { allowed: [] }
const HOST = 'broker.example:8080'

function isForbidden(facts: Partial<OriginFacts>, rules: OriginRules = NOBODY): boolean {
  return isForbiddenOrigin({ method: 'GET', host: HOST, isExplicit: false, ...facts }, rules)
}

test('a program, which tells no origin, passes', () => {
  assert.equal(isForbidden({}), false)
  assert.equal(isForbidden({ host: undefined }), false)
})

test('a page of the same host passes, whatever the scheme that a proxy speaks', () => {
  assert.equal(isForbidden({ origin: 'http://broker.example:8080' }), false)
  assert.equal(isForbidden({ origin: 'https://broker.example:8080' }), false)
  assert.equal(isForbidden({ origin: 'https://broker.example', host: 'BROKER.example' }), false)
  assert.equal(isForbidden({ origin: 'https://broker.example', host: 'broker.example:443' }), false)
  assert.equal(isForbidden({ origin: 'http://[::1]:8080', host: '[::1]:8080' }), false)
})

test('a page of another origin is refused', () => {
  const foreign = [
    'https://evil.example',
    'http://broker.example',
    'http://broker.example:8081',
    'http://broker.example:8080.evil.example',
    'http://evil.example/broker.example:8080',
    'null',
    '',
    'file://',
    'chrome-extension://broker.example:8080',
    'broker.example:8080',
  ]
  for (const origin of foreign) assert.equal(isForbidden({ origin }), true, origin)
  assert.equal(isForbidden({ origin: 'http://broker.example:8080', host: undefined }), true)
  assert.equal(isForbidden({ origin: 'http://x', host: 'x/' }), false)
})

test('an explicit token or a ticket passes from anywhere', () => {
  assert.equal(isForbidden({ origin: 'https://evil.example', isExplicit: true }), false)
  assert.equal(isForbidden({ fetchSite: 'cross-site', isExplicit: true }), false)
})

test('allowed origins pass, by scheme, host and port', () => {
  const rules = { allowed: ['https://dash.example', 'http://localhost:5173/'] }
  assert.equal(isForbidden({ origin: 'https://dash.example' }, rules), false)
  assert.equal(
    isForbidden({ origin: 'http://localhost:5173', fetchSite: 'cross-site' }, rules),
    false,
  )
  assert.equal(isForbidden({ origin: 'http://dash.example' }, rules), true)
  assert.equal(isForbidden({ origin: 'https://dash.example.evil.example' }, rules), true)
})

test('a public URL replaces the host, which a page can choose by its own name', () => {
  const rules = { allowed: [], publicUrl: 'https://broker.example/base' }
  assert.equal(isForbidden({ origin: 'https://broker.example' }, rules), false)
  assert.equal(
    isForbidden({ origin: 'http://rebound.example', host: 'rebound.example' }, rules),
    true,
  )
})

test('a request that another site caused is refused without an origin too', () => {
  assert.equal(isForbidden({ fetchSite: 'cross-site' }), true)
  assert.equal(
    isForbidden({ fetchSite: 'cross-site', fetchMode: 'no-cors', fetchDest: 'image' }),
    true,
  )
  for (const fetchSite of ['same-origin', 'same-site', 'none']) {
    assert.equal(isForbidden({ fetchSite }), false)
  }
})

test('a link that is followed passes, a frame and a form that is sent do not', () => {
  const link = { fetchSite: 'cross-site', fetchMode: 'navigate', fetchDest: 'document' }
  assert.equal(isForbidden(link), false)
  assert.equal(isForbidden({ ...link, fetchDest: 'iframe' }), true)
  assert.equal(isForbidden({ ...link, method: 'POST' }), true)
  assert.equal(isForbidden({ ...link, origin: 'null' }), true)
})
