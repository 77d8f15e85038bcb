import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { problemOf, problemOfResponse } from '../../src/client/http/received-problem.ts'
import { BrokerError, isProblemCode, PROBLEMS, toProblem } from '../../src/protocol/problem.ts'

for (const code of Object.keys(PROBLEMS).filter(isProblemCode)) {
  test(`an answer that tells ${code} becomes the same error`, async () => {
    const sent = new BrokerError(code, 'in these words', { fields: { index: 3, path: 'a/b' } })
    const response = Response.json(toProblem(sent, 'https://b.example'), { status: sent.status })
    const error = await problemOfResponse(response)
    assert.ok(error instanceof BrokerError)
    assert.equal(error.code, code)
    assert.equal(error.status, PROBLEMS[code].status)
    assert.equal(error.message, 'in these words')
    assert.deepEqual(error.fields, { index: 3, path: 'a/b' })
  })
}

for (const [status, code] of [
  [400, 'REQUEST_INVALID'],
  [401, 'UNAUTHENTICATED'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
  [412, 'PRECONDITION_FAILED'],
  [413, 'TOO_LARGE'],
  [418, 'REQUEST_INVALID'],
  [429, 'TOO_MANY_REQUESTS'],
  [500, 'INTERNAL'],
  [502, 'UNAVAILABLE'],
  [503, 'UNAVAILABLE'],
  [504, 'UNAVAILABLE'],
  [599, 'INTERNAL'],
] as const) {
  test(`the page of a proxy with status ${status} becomes ${code}`, async () => {
    const error = await problemOfResponse(new Response('<html>no</html>', { status }))
    assert.equal(error.code, code)
    assert.deepEqual(error.fields, { httpStatus: status })
  })
}

test('Retry-After is among the fields', async () => {
  const body = toProblem(new BrokerError('TOO_MANY_REQUESTS', 'slower'))
  const headers = { 'retry-after': '7' }
  const error = await problemOfResponse(Response.json(body, { status: 429, headers }))
  assert.deepEqual(error.fields, { retryAfterMs: 7000 })
})

test('a code of a later version is kept beside one of the same status', () => {
  const error = problemOf({ code: 'NEW_ONE', status: 409, detail: 'new' })
  assert.equal(error.status, 409)
  assert.equal(error.message, 'new')
  assert.equal(error.fields['receivedCode'], 'NEW_ONE')
})

test('whatever is received becomes a BrokerError', () => {
  fc.assert(
    fc.property(fc.anything(), fc.option(fc.integer(), { nil: undefined }), (body, status) => {
      assert.ok(problemOf(body, status) instanceof BrokerError)
    }),
  )
})
