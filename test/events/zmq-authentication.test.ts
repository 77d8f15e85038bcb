import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Context } from 'zeromq'
import { type ZapRequest, ZmqAuthentication } from '../../src/events/zmq-authentication.ts'
import { bindSubscribeSocket } from '../../src/events/zmq-bound-socket.ts'
import { Sub } from './zmq-clients.ts'
import { FakeLogger } from './zmq-fixture.ts'

/** A socket of the domain `known` and the authentication that it asks. */
async function start() {
  const context = new Context({ blocky: false })
  const logger = new FakeLogger()
  const authentication = await ZmqAuthentication.open(context, logger)
  const socket = await bindSubscribeSocket({
    context,
    address: 'tcp://127.0.0.1:0',
    mechanism: { kind: 'plain' },
    domain: 'known',
    maxFrameBytes: 1024,
    sendHighWaterMark: 10,
  })
  return {
    authentication,
    logger,
    client: () => new Sub(socket.lastEndpoint ?? '', { user: 'u', token: 't' }),
    async [Symbol.asyncDispose]() {
      socket.close()
      await authentication.close()
    },
  }
}

const OUTCOMES = ['handshake', 'handshake:error:auth']

describe('the authentication', () => {
  it('lets in whom the judge of the domain lets in', async () => {
    await using fixture = await start()
    const requests: ZapRequest[] = []
    fixture.authentication.register('known', (request) => {
      requests.push(request)
      return 'admitted'
    })
    using client = fixture.client()
    assert.equal(await client.connect(...OUTCOMES), 'handshake')
    assert.equal(requests.length, 1)
    assert.equal(requests[0]?.mechanism, 'PLAIN')
    assert.equal(requests[0]?.address, '127.0.0.1')
    assert.deepEqual(requests[0]?.credentials.map(String), ['u', 't'])
  })

  it('refuses a domain that nobody has registered, or no longer', async () => {
    await using fixture = await start()
    using first = fixture.client()
    assert.equal(await first.connect(...OUTCOMES), 'handshake:error:auth')
    const registration = fixture.authentication.register('known', () => 'admitted')
    registration[Symbol.dispose]()
    using second = fixture.client()
    assert.equal(await second.connect(...OUTCOMES), 'handshake:error:auth')
  })

  it('outlives a judge that fails, and lets nobody in by it', async () => {
    await using fixture = await start()
    const answers = [
      () => {
        throw new Error('broken')
      },
      () => 'admitted' as const,
    ]
    fixture.authentication.register('known', () => (answers.shift() ?? assert.fail)())
    using unlucky = fixture.client()
    const outcome = unlucky.connect(...OUTCOMES)
    const { fields } = await fixture.logger.line('events.zmq.authentication')
    assert.match(String(fields['err']), /broken/)
    using lucky = fixture.client()
    assert.equal(await lucky.connect(...OUTCOMES), 'handshake')
    unlucky.socket.close()
    await outcome.catch(() => {})
  })

  it('answers many who come at once', async () => {
    await using fixture = await start()
    fixture.authentication.register('known', () => 'admitted')
    const clients = Array.from({ length: 50 }, () => fixture.client())
    const outcomes = await Promise.all(clients.map((client) => client.connect(...OUTCOMES)))
    assert.ok(outcomes.every((outcome) => outcome === 'handshake'))
    for (const client of clients) client[Symbol.dispose]()
  })
})

describe('a bound socket', () => {
  it('cannot be made without a domain, on which libzmq would abort the process', () => {
    const context = new Context({ blocky: false })
    const options = {
      context,
      address: 'tcp://127.0.0.1:0',
      maxFrameBytes: 1,
      sendHighWaterMark: 1,
    }
    assert.throws(
      () => bindSubscribeSocket({ ...options, mechanism: { kind: 'plain' }, domain: '' }),
      /needs a domain/,
    )
  })
})
