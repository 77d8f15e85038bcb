import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { presentedCredential } from '../../src/auth/credentials/credentials.ts'
import { BrokerError } from '../../src/protocol/problem.ts'

const TOKEN = 'dbk_0123456789abcdefghijklmnopqrstuvwxyz'
const OTHER = 'dbk_zyxwvutsrqponmlkjihgfedcba9876543210'

function basic(user: string, secret: string): string {
  return `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
}

function bearerProtocol(secret: string): string {
  return `bearer.${Buffer.from(secret).toString('base64url')}`
}

const ACCEPTED: readonly (readonly [string, readonly string[], object])[] = [
  ['Bearer', ['Authorization', `Bearer ${TOKEN}`], { secret: TOKEN, isAmbient: false }],
  [
    'bearer in lower case',
    ['authorization', `bearer   ${TOKEN} `],
    { secret: TOKEN, isAmbient: false },
  ],
  ['the header of its own', ['x-broker-TOKEN', TOKEN], { secret: TOKEN, isAmbient: false }],
  ['any secret', ['X-Broker-Token', 'hunter2!'], { secret: 'hunter2!', isAmbient: false }],
  [
    'Basic',
    ['Authorization', basic('token', TOKEN)],
    { secret: TOKEN, isAmbient: true, user: 'token' },
  ],
  [
    'Basic with colons and letters in the password',
    ['Authorization', basic('ann', 'pä:s s')],
    { secret: 'pä:s s', isAmbient: true, user: 'ann' },
  ],
  [
    'a subprotocol',
    ['Sec-WebSocket-Protocol', `broker.v1.json, ${bearerProtocol(TOKEN)}`],
    { secret: TOKEN, isAmbient: false },
  ],
  [
    'a subprotocol in a field of its own',
    ['Sec-WebSocket-Protocol', bearerProtocol(TOKEN), 'Sec-WebSocket-Protocol', 'cloudevents.json'],
    { secret: TOKEN, isAmbient: false },
  ],
  [
    'the same secret three times',
    ['X-Broker-Token', TOKEN, 'Authorization', basic('ann', TOKEN), 'X-Broker-Token', TOKEN],
    { secret: TOKEN, isAmbient: false, user: 'ann' },
  ],
]

for (const [what, headers, expected] of ACCEPTED) {
  test(`${what} is read as a credential`, () => {
    assert.deepEqual(presentedCredential(headers), expected)
  })
}

test('other header fields hold no credential', () => {
  const headers = [
    'Host',
    TOKEN,
    'Cookie',
    `token=${TOKEN}`,
    'Sec-WebSocket-Protocol',
    'cloudevents.json',
  ]
  assert.equal(presentedCredential(headers), undefined)
  assert.equal(presentedCredential([]), undefined)
})

const REFUSED: readonly (readonly [string, string, readonly string[]])[] = [
  ['two tokens', 'CREDENTIALS_CONFLICT', ['X-Broker-Token', TOKEN, 'X-Broker-Token', OTHER]],
  [
    'a token and another Bearer',
    'CREDENTIALS_CONFLICT',
    ['X-Broker-Token', TOKEN, 'Authorization', `Bearer ${OTHER}`],
  ],
  [
    'two Authorization fields',
    'CREDENTIALS_CONFLICT',
    ['Authorization', `Bearer ${TOKEN}`, 'Authorization', `Bearer ${OTHER}`],
  ],
  [
    'two user names for one token',
    'CREDENTIALS_CONFLICT',
    ['Authorization', basic('ann', TOKEN), 'Authorization', basic('bob', TOKEN)],
  ],
  [
    'a token and another in a subprotocol',
    'CREDENTIALS_CONFLICT',
    ['X-Broker-Token', TOKEN, 'Sec-WebSocket-Protocol', `a, ${bearerProtocol(OTHER)}`],
  ],
  ['tokens joined by a comma', 'CREDENTIAL_INVALID', ['X-Broker-Token', `${TOKEN}, ${TOKEN}`]],
  ['an empty token', 'CREDENTIAL_INVALID', ['X-Broker-Token', '']],
  ['Bearer alone', 'CREDENTIAL_INVALID', ['Authorization', 'Bearer']],
  ['an empty Authorization', 'CREDENTIAL_INVALID', ['Authorization', '']],
  ['another scheme', 'CREDENTIAL_INVALID', ['Authorization', 'Digest username="ann"']],
  ['a token without a scheme', 'CREDENTIAL_INVALID', ['Authorization', TOKEN]],
  ['a token of many characters', 'CREDENTIAL_INVALID', ['X-Broker-Token', 'x'.repeat(1025)]],
  ['Basic that is not base64', 'CREDENTIAL_INVALID', ['Authorization', 'Basic a:b']],
  ['Basic without a colon', 'CREDENTIAL_INVALID', ['Authorization', `Basic ${btoa('ann')}`]],
  ['Basic without a password', 'CREDENTIAL_INVALID', ['Authorization', basic('ann', '')]],
  [
    'a subprotocol that is not base64url',
    'CREDENTIAL_INVALID',
    ['Sec-WebSocket-Protocol', 'a, bearer.!'],
  ],
  [
    'a bearer subprotocol alone',
    'REQUEST_INVALID',
    ['Sec-WebSocket-Protocol', bearerProtocol(TOKEN)],
  ],
]

for (const [what, code, headers] of REFUSED) {
  test(`${what} is refused with ${code}`, () => {
    assert.throws(() => presentedCredential(headers), { code })
  })
}

test('whatever the fields hold, a refusal is a problem that does not repeat it', () => {
  const field = fc.tuple(
    fc.constantFrom('Authorization', 'X-Broker-Token', 'Sec-WebSocket-Protocol'),
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .tuple(fc.constantFrom('Basic ', 'Bearer ', 'bearer.'), fc.base64String())
        .map((p) => p.join('')),
    ),
  )
  fc.assert(
    fc.property(fc.array(field, { maxLength: 3 }), (fields) => {
      try {
        const found = presentedCredential(fields.flat())
        return found === undefined || found.secret !== ''
      } catch (error) {
        return error instanceof BrokerError
      }
    }),
    { numRuns: 1000 },
  )
})
