import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { dealer, Python, pythonIsMissing } from './zmq-clients.ts'
import { startZmq } from './zmq-fixture.ts'

const SUBSCRIBER = `
import sys, json, zmq
endpoint, user, token = sys.argv[1:]
s = zmq.Context.instance().socket(zmq.SUB)
s.plain_username = user.encode(); s.plain_password = token.encode()
s.setsockopt(zmq.SUBSCRIBE, b'ci/')
s.connect(endpoint)
while True:
    topic, event = s.recv_multipart()
    print(json.dumps([topic.decode(), json.loads(event)['data']]))
`

const REQUESTER = `
import sys, json, zmq
s = zmq.Context.instance().socket(zmq.REQ)
s.connect(sys.argv[1])
for payload in (b'{"n":1}', b'text', b'\\xff'):
    s.send_multipart([b'PUBLISH', b'jenkins-token', b'ci/app', payload, b'{"type":"t"}'])
    status, body = s.recv_multipart()
    print(status.decode(), json.loads(body)['position'])
s.send_multipart([b'PUBLISH', b'jenkins-token', b'other/app', b'1'])
status, body = s.recv_multipart()
print(status.decode(), json.loads(body)['code'])
`

const WINDOW = `
import sys, json, zmq
endpoint, window, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = zmq.Context.instance().socket(zmq.DEALER)
s.connect(endpoint)
def send(i): s.send_multipart([b'PUBLISH', b'jenkins-token', b'ci/app', str(i).encode()])
for i in range(window): send(i)
for i in range(count):
    status, body = s.recv_multipart()
    assert status == b'OK', body
    assert json.loads(body)['position'] == 'e1:%d' % (i + 1), (i, body)
    if i + window < count: send(i + window)
print('done')
`

const STOPPING = `
import sys, zmq
s = zmq.Context.instance().socket(zmq.DEALER)
s.connect(sys.argv[1])
s.send_multipart([b'SUBSCRIBE', b'jenkins-token', b'ci/**', b''])
s.recv_multipart()
print('subscribed')
for i in range(int(sys.argv[2])): s.recv_multipart()
print('all')
`

describe('a Python client', { skip: pythonIsMissing() }, () => {
  it('as SUB gets the events as topic and JSON', async () => {
    await using fixture = await startZmq()
    using python = new Python(SUBSCRIBER, fixture.subscribe, 'jenkins', 'jenkins-token')
    const first = python.line()
    const state = { isServed: false }
    void first.then(() => {
      state.isServed = true
    })
    while (!state.isServed) {
      await fixture.publish('ci/app', { n: 1 })
      await nextTurn()
    }
    assert.deepEqual(JSON.parse(await first), ['ci/app', { n: 1 }])
  })

  it('as REQ publishes', async () => {
    await using fixture = await startZmq()
    using python = new Python(REQUESTER, fixture.session)
    for (const line of ['OK e1:1', 'OK e1:2', 'OK e1:3', 'ERROR FORBIDDEN']) {
      assert.equal(await python.line(), line)
    }
  })

  it('as DEALER publishes with many on the way', async () => {
    await using fixture = await startZmq()
    using python = new Python(WINDOW, fixture.session, '256', '5000')
    assert.equal(await python.line(), 'done')
    assert.equal(fixture.log.head, 5000)
  })

  it('that is stopped delays nobody, and has missed nothing when it goes on', async () => {
    await using fixture = await startZmq()
    const count = 400
    using python = new Python(STOPPING, fixture.session, `${count}`)
    assert.equal(await python.line(), 'subscribed')
    using other = dealer(fixture.session)
    await other.ask('SUBSCRIBE', 'jenkins-token', 'ci/**', '')
    python.signal('SIGSTOP')
    const filler = 'x'.repeat(100_000)
    for (let i = 0; i < count; i += 1) {
      await fixture.publish('ci/app', filler)
      assert.equal((await other.receive()).verb, 'EVENT')
    }
    python.signal('SIGCONT')
    assert.equal(await python.line(), 'all')
  })
})
