import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exitCodeOf } from '../../src/cli/exit-code.ts'
import { Interruption, OutputClosed } from '../../src/cli/interruption.ts'
import { UsageError } from '../../src/cli/usage-error.ts'
import { NetworkError } from '../../src/client/index.ts'
import { BrokerError, isProblemCode, PROBLEMS } from '../../src/protocol/problem.ts'

const EXIT_CODES: Readonly<Record<string, readonly string[]>> = {
  2: ['TOPIC_INVALID', 'FILTER_INVALID', 'PATH_INVALID', 'POSITION_INVALID'],
  3: ['UNAUTHENTICATED', 'CREDENTIAL_INVALID', 'FORBIDDEN', 'ORIGIN_FORBIDDEN', 'TOPIC_RESERVED'],
  4: ['NOT_FOUND'],
  5: [
    'DIGEST_MISMATCH',
    'EVENT_CONFLICT',
    'UPLOAD_OFFSET_CONFLICT',
    'PATH_CONFLICT',
    'READ_ONLY',
    'PRECONDITION_FAILED',
    'TUS_VERSION_UNSUPPORTED',
    'PRECONDITION_REQUIRED',
  ],
  6: [
    'BODY_INCOMPLETE',
    'REQUEST_TIMEOUT',
    'CHECKSUM_MISMATCH',
    'TOO_MANY_REQUESTS',
    'INTERNAL',
    'UNAVAILABLE',
    'SLOW_CONSUMER',
    'STORAGE_FULL',
  ],
}

for (const code of Object.keys(PROBLEMS).filter(isProblemCode)) {
  const listed = Object.entries(EXIT_CODES).find(([, codes]) => codes.includes(code))
  const expected = Number(listed?.[0] ?? 1)
  test(`${code} ends the command with ${expected}`, () => {
    assert.equal(exitCodeOf(new BrokerError(code, '')), expected)
  })
}

test('other ends have their codes too', () => {
  assert.equal(exitCodeOf(new UsageError('')), 2)
  assert.equal(exitCodeOf(new NetworkError('')), 6)
  assert.equal(exitCodeOf(new DOMException('', 'TimeoutError')), 6)
  assert.equal(exitCodeOf(new Interruption('SIGINT')), 130)
  assert.equal(exitCodeOf(new Interruption('SIGTERM')), 143)
  assert.equal(exitCodeOf(new OutputClosed('')), 0)
  assert.equal(exitCodeOf(new Error('')), 1)
  assert.equal(exitCodeOf('text'), 1)
})
