import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Context } from 'zeromq'
import { type ZapRequest, ZmqAuthentication } from '../../src/events/zmq/zmq-authentication.ts'
import { bindSubscribeSocket } from '../../src/events/zmq/zmq-bound-socket.ts'
import { FakeLogger } from './zmq-fixture.ts'
import { RawPeer } from './zmq-raw-peer.ts'

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
    logIn: () => RawPeer.logIn(socket.lastEndpoint ?? '', 'u', 't'),
    async [Symbol.asyncDispose]() {
      socket.close()
      await authentication.close()
    },
  }
}

describe('the authentication', () => {
  it('lets in whom the judge of the domain lets in', async () => {
    await using fixture = await start()
    const requests: ZapRequest[] = []
    fixture.authentication.register('known', (request) => {
      requests.push(request)
      return 'admitted'
    })
    assert.equal(await fixture.logIn(), 'WELCOME')
    assert.equal(requests.length, 1)
    assert.equal(requests[0]?.mechanism, 'PLAIN')
    assert.equal(requests[0]?.address, '127.0.0.1')
    assert.deepEqual(requests[0]?.credentials.map(String), ['u', 't'])
  })

  it('refuses a domain that nobody has registered, or no longer', async () => {
    await using fixture = await start()
    assert.equal(await fixture.logIn(), 'ERROR 400')
    const registration = fixture.authentication.register('known', () => 'admitted')
    registration[Symbol.dispose]()
    assert.equal(await fixture.logIn(), 'ERROR 400')
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
    void fixture.logIn().catch(() => {})
    const { fields } = await fixture.logger.line('events.zmq.authentication')
    assert.match(String(fields['err']), /broken/)
    assert.equal(await fixture.logIn(), 'WELCOME')
  })

  it('answers many who come at once', async () => {
    await using fixture = await start()
    fixture.authentication.register('known', () => 'admitted')
    const answers = await Promise.all(Array.from({ length: 50 }, () => fixture.logIn()))
    assert.ok(answers.every((answer) => answer === 'WELCOME'))
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
