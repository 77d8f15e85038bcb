import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressSource } from '../../src/auth/credentials/address-source.ts'
import { FailureThrottle } from '../../src/auth/credentials/failure-throttle.ts'

function throttleAt(options: { maxSources?: number } = {}) {
  const clock = { ms: 1_000_000 }
  const throttle = new FailureThrottle({ now: () => clock.ms, ...options })
  const fail = (source: string, hash: string) => {
    throttle.check(source, hash)
    throttle.failed(source, hash)
  }
  return { clock, throttle, fail }
}

test('many different failures close a source, and say for how long', () => {
  const { clock, throttle, fail } = throttleAt()
  for (let i = 0; i < 10; i += 1) fail('a', `wrong ${i}`)
  clock.ms += 30_500
  assert.throws(() => throttle.check('a', 'another'), {
    code: 'TOO_MANY_REQUESTS',
    fields: { retryAfterSeconds: 30 },
  })
  throttle.check('b', 'another')
})

test('a closed source opens when its window has passed', () => {
  const { clock, throttle, fail } = throttleAt()
  for (let i = 0; i < 10; i += 1) fail('a', `wrong ${i}`)
  clock.ms += 59_999
  assert.throws(() => throttle.check('a', 'x'), { code: 'TOO_MANY_REQUESTS' })
  clock.ms += 1
  throttle.check('a', 'x')
  for (let i = 0; i < 10; i += 1) fail('a', `again ${i}`)
  assert.throws(() => throttle.check('a', 'x'), { code: 'TOO_MANY_REQUESTS' })
})

test('a broken client that repeats one wrong secret is refused by itself alone', () => {
  const { throttle, fail } = throttleAt()
  for (let i = 0; i < 10; i += 1) fail('a', 'stale')
  assert.throws(() => throttle.check('a', 'stale'), { code: 'TOO_MANY_REQUESTS' })
  throttle.check('a', 'another')
})

test('a closed source admits what was good from there before, and nothing new', () => {
  const { throttle, fail } = throttleAt()
  throttle.succeeded('a', 'known')
  throttle.succeeded('b', 'elsewhere')
  for (let i = 0; i < 10; i += 1) fail('a', `wrong ${i}`)
  throttle.check('a', 'known')
  assert.throws(() => throttle.check('a', 'elsewhere'), { code: 'TOO_MANY_REQUESTS' })
})

test('only so many sources are remembered, the oldest forgotten first', () => {
  const { throttle, fail } = throttleAt({ maxSources: 2 })
  for (let i = 0; i < 10; i += 1) fail('a', `wrong ${i}`)
  fail('b', 'wrong')
  assert.throws(() => throttle.check('a', 'x'), { code: 'TOO_MANY_REQUESTS' })
  fail('c', 'wrong')
  throttle.check('a', 'x')
})

test('addresses of one IPv6 network are one source, and mapped IPv4 ones their own', () => {
  assert.equal(addressSource('192.0.2.7'), '192.0.2.7')
  assert.equal(addressSource('::ffff:192.0.2.7'), '192.0.2.7')
  assert.equal(addressSource('2001:db8:1:2:3::4'), '2001:db8:1:2::/64')
  assert.equal(addressSource('2001:DB8:1:2::ffff'), '2001:db8:1:2::/64')
  assert.equal(addressSource('2001:db8::1'), '2001:db8:0:0::/64')
  assert.equal(addressSource('fe80::1%eth0'), 'fe80:0:0:0::/64')
  assert.equal(addressSource('::1'), '0:0:0:0::/64')
  assert.equal(addressSource(undefined), 'local')
  assert.equal(addressSource(''), 'local')
})
