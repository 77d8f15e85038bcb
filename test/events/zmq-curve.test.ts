import assert from 'node:assert/strict'
import { test } from 'node:test'
import { curveKeyPair, Dealer, Subscriber } from 'zeromq'
import { z85Of } from '../../src/events/zmq/zmq-curve.ts'
import { startGateway, TOKENS, USERS_XML } from '../support/gateway.ts'
import { freePort } from '../support/nginx.ts'

const READER = curveKeyPair()
const STRANGER = curveKeyPair()

function escaped(key: string): string {
  return key.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

const USERS = USERS_XML.replace(
  '<token id="reader-1"',
  `<curve-key public="${escaped(READER.publicKey)}"/><token id="reader-1"`,
)

async function startCurve() {
  const subscribe = `tcp://127.0.0.1:${await freePort()}`
  const session = `tcp://127.0.0.1:${await freePort()}`
  const flags = {
    zmqSubscribe: `${subscribe}?security=curve`,
    zmqSession: `${session}?security=curve`,
  }
  const broker = await startGateway(flags, USERS)
  const { curvePublicKey } = broker.gateway
  assert.ok(curvePublicKey !== undefined)
  const client = ({ publicKey, secretKey }: typeof READER) => ({
    linger: 0,
    curveServerKey: curvePublicKey,
    curvePublicKey: publicKey,
    curveSecretKey: secretKey,
  })
  return { broker, subscribe, session, client }
}

test('a key as the handshake presents it has the text that the users file lists', () => {
  for (let i = 0; i < 20; i += 1) {
    const { publicKey } = curveKeyPair()
    assert.equal(z85Of(bytesOf(publicKey)), publicKey)
  }
})

/** Z85 back to bytes, written apart from the code under test. */
function bytesOf(text: string): Buffer {
  const alphabet =
    '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
  const groups = text.match(/.{5}/g) ?? []
  const bytes = Buffer.alloc(groups.length * 4)
  for (const [i, group] of groups.entries()) {
    bytes.writeUInt32BE(
      [...group].reduce((sum, digit) => sum * 85 + alphabet.indexOf(digit), 0),
      i * 4,
    )
  }
  return bytes
}

test('a SUB socket with the key of a user hears events over CURVE', async () => {
  const { broker, subscribe, client } = await startCurve()
  const socket = new Subscriber(client(READER))
  socket.subscribe('')
  socket.connect(subscribe)
  let isHeard = false
  const heard = socket.receive().then((frames) => {
    isHeard = true
    return frames
  })
  while (!isHeard) {
    const sent = broker.request('/events/a', { method: 'POST', body: '1', as: 'admin' })
    await Promise.race([heard, sent])
  }
  const [topic, event] = await heard
  assert.equal(String(topic), 'a')
  assert.equal(JSON.parse(String(event)).authid, 'admin')
  socket.close()
  await broker[Symbol.asyncDispose]()
})

test('a DEALER with a known key publishes with its token; a stranger is not let in', async () => {
  const { broker, session, client } = await startCurve()
  const stranger = new Dealer({ ...client(STRANGER), receiveTimeout: 0 })
  stranger.connect(session)
  await stranger.send(['PUBLISH', TOKENS.jenkins, 'ci/jenkins/stranger', '1'])
  const dealer = new Dealer(client(READER))
  dealer.connect(session)
  await dealer.send(['PUBLISH', TOKENS.jenkins, 'ci/jenkins/x', '1'])
  const [status] = await dealer.receive()
  assert.equal(String(status), 'OK')
  const page = await broker.request('/events/**', { as: 'admin' })
  const { events } = (await page.json()) as { events: { topic: string }[] }
  assert.deepEqual(
    events.map(({ topic }) => topic),
    ['ci/jenkins/x'],
  )
  dealer.close()
  stranger.close()
  await broker[Symbol.asyncDispose]()
})

test('the keys of an installation stay the same', async () => {
  const { broker } = await startCurve()
  const before = broker.gateway.curvePublicKey
  const again = await broker.restart()
  assert.equal(again.gateway.curvePublicKey, before)
  await again[Symbol.asyncDispose]()
})
