import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { FakeBroker, fakeEvent, problem } from '../client/fake-broker.ts'
import { ended, runBroker, startBroker } from './broker-process.ts'

const ack = { id: 'a', position: 'e:1', duplicate: false }

test('publish sends data as it was written, and prints the position', async () => {
  await using broker = await FakeBroker.start()
  const env = { BROKER_URL: broker.url }
  broker.answerWith({ status: 201, json: ack })
  const json = '{"b": 1.0, "a": 12345678901234567890}'
  const options = ['--type', 'build.finished', '--id', '7', '--source', '/ci']
  const { code, stdout, stderr } = await runBroker(['publish', 'ci/x', json, ...options], { env })
  assert.deepEqual([code, stdout, stderr], [0, 'e:1\n', ''])
  const body = String(broker.requests[0]?.body)
  assert.ok(body.endsWith(`"data":${json}}`), body)
  const { id, type, source, topic, datacontenttype } = JSON.parse(body)
  const expected = ['7', 'build.finished', '/ci', 'ci/x', 'application/json']
  assert.deepEqual([id, type, source, topic, datacontenttype], expected)
})

test('publish takes text, stdin, bytes and nothing at all', async () => {
  await using broker = await FakeBroker.start()
  const env = { BROKER_URL: broker.url }
  broker.answerWith({ status: 201, json: ack })
  await runBroker(['publish', 'a', 'some text'], { env })
  await runBroker(['publish', 'a', '-'], { env, stdin: '[1]\n' })
  await runBroker(['publish', 'a', '-'], { env, stdin: Buffer.from([0xff, 0x00]) })
  const { stdout } = await runBroker(['publish', 'a', '--json'], { env })
  assert.deepEqual(JSON.parse(stdout), ack)
  const events = broker.requests.map(({ body }) => JSON.parse(String(body)))
  const seen = events.map(({ data, data_base64, datacontenttype }) => [
    data ?? data_base64,
    datacontenttype,
  ])
  assert.deepEqual(seen, [
    ['some text', 'text/plain'],
    [[1], 'application/json'],
    ['/wA=', 'application/octet-stream'],
    [undefined, undefined],
  ])
})

test('publish --ndjson sends every line of stdin, in order, as it is', async () => {
  await using broker = await FakeBroker.start()
  const env = { BROKER_URL: broker.url }
  let count = 0
  broker.answer = ({ body }) => {
    const lines = String(body).split('\n')
    const first = count + 1
    count += lines.length
    return { status: 201, json: lines.map((_, i) => ({ ...ack, position: `e:${first + i}` })) }
  }
  const lines = Array.from({ length: 25_000 }, (_, i) => `{"n": ${i}.0, "u": "\u2028é"}`)
  const stdin = `${lines.join('\n\n')}\r\n`
  const { code, stdout } = await runBroker(['publish', 'a', '--ndjson', '--type', 't'], {
    env,
    stdin,
  })
  assert.equal(code, 0)
  const positions = lines.map((_, i) => `e:${i + 1}`)
  assert.deepEqual(stdout.trim().split('\n'), positions)
  const sent = broker.requests.flatMap(({ body }) => String(body).trimEnd().split('\n'))
  assert.deepEqual(sent, lines)
  for (const { headers, body } of broker.requests) {
    assert.equal(headers['x-event-type'], 't')
    assert.ok(String(body).split('\n').length <= 10_000)
  }
})

test('publish --ndjson names the line that was refused, and does not wait for more', async () => {
  await using broker = await FakeBroker.start()
  const refusal = problem('JSON_INVALID', { index: 0, detail: 'line 1 is not valid JSON' })
  broker.answerWith({ status: 400, json: refusal })
  const child = startBroker(['publish', 'a', '--ndjson'], { env: { BROKER_URL: broker.url } })
  child.stdin.write('\n\nnonsense\n')
  const { code, stderr } = await ended(child)
  assert.equal(code, 1)
  assert.equal(stderr, 'broker: line 3: is not valid JSON (JSON_INVALID)\n')
})

test('subscribe prints each event as it was sent, resumes, and ends after --count', async () => {
  await using broker = await FakeBroker.start()
  const events = [1, 2, 3].map((offset) => JSON.stringify(fakeEvent(offset, { data: 'ü' })))
  const since: unknown[] = []
  broker.onPeer = async (peer, count) => {
    const command = await peer.accept()
    since.push(command['since'], command['filters'])
    for (const event of count === 1 ? events.slice(0, 1) : events.slice(1)) peer.send(event)
    if (count === 1) peer.close(1012)
  }
  const args = ['subscribe', 'ci/**', 'files/**', '--since', 'earliest', '--count', '2']
  const { code, stdout, stderr } = await runBroker(args, { env: { BROKER_URL: broker.url } })
  assert.deepEqual([code, stdout, stderr], [0, `${events.slice(0, 2).join('\n')}\n`, ''])
  const filters = ['ci/**', 'files/**']
  assert.deepEqual(since, ['earliest', filters, 'e:1', filters])
})

test('subscribe that is interrupted ends with 130', async () => {
  await using broker = await FakeBroker.start()
  broker.onPeer = async (peer) => void (await peer.accept().then(() => peer.send(fakeEvent(1))))
  for (const [signal, exit] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const child = startBroker(['subscribe', '**'], { env: { BROKER_URL: broker.url } })
    const end = ended(child)
    await once(child.stdout, 'data')
    child.kill(signal)
    assert.equal((await end).code, exit)
  }
})

test('subscribe whose output is closed ends quietly', async () => {
  await using broker = await FakeBroker.start()
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  broker.onPeer = async (peer) => {
    await peer.accept()
    peer.send(fakeEvent(1))
    await closed
    // One: whoever waits for the next event must learn of it by this.
    peer.send(fakeEvent(2))
  }
  const child = startBroker(['subscribe', '**'], { env: { BROKER_URL: broker.url } })
  await once(child.stdout, 'data')
  child.stdout.destroy()
  close()
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code] = await once(child, 'exit')
  assert.deepEqual([code, stderr], [0, ''])
})

test('subscribe whose token expires says so, and not that one is missing', async () => {
  await using broker = await FakeBroker.start()
  broker.onPeer = async (peer) => {
    await peer.accept()
    peer.close(4401, 'the credential has expired')
  }
  const ran = await runBroker(['subscribe', '**'], { env: { BROKER_URL: broker.url } })
  const stderr = 'broker: the credential has expired (CREDENTIAL_INVALID)\n'
  assert.deepEqual(ran, { code: 3, stdout: '', stderr })
})

test('subscribe that is refused ends with the code of the refusal', async () => {
  await using broker = await FakeBroker.start()
  broker.onPeer = async (peer) => {
    peer.send({ op: 'welcome' })
    const { id } = await peer.next()
    peer.send({ op: 'error', id, problem: problem('CREDENTIAL_INVALID') })
    peer.close(4401)
  }
  const ran = await runBroker(['subscribe', '**'], { env: { BROKER_URL: broker.url } })
  const stderr = 'broker: told CREDENTIAL_INVALID (CREDENTIAL_INVALID)\n'
  assert.deepEqual(ran, { code: 3, stdout: '', stderr })
})
