import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { subscribe } from '../../examples/dashboard/subscription.js'
import { BrokerProcess, ROOT, run } from '../support/broker-process.ts'
import { TOKENS } from '../support/gateway.ts'
import { PYTHON, PYZMQ_MISSING, PythonProcess } from '../support/python.ts'

let broker: BrokerProcess
let admin: string

before(async () => {
  broker = await BrokerProcess.start()
  admin = await broker.adminToken()
})

after(() => broker?.[Symbol.asyncDispose]())

function publish(topic: string, data: unknown): Promise<Response> {
  const headers = { 'x-broker-token': admin, 'content-type': 'application/json' }
  return fetch(`${broker.url}/events/${topic}`, {
    method: 'POST',
    body: JSON.stringify(data),
    headers,
  })
}

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

async function publishCloudEvent(event: Readonly<Record<string, string>>): Promise<void> {
  const headers = { 'x-broker-token': admin, 'content-type': 'application/cloudevents+json' }
  const body = JSON.stringify(event)
  const { status } = await fetch(`${broker.url}/events`, { method: 'POST', body, headers })
  assert.equal(status, 201)
}

test('the dashboard subscribes and survives a restart of the broker', async () => {
  const seen: unknown[] = []
  const states: string[] = []
  let changed = Promise.withResolvers<void>()
  const announce = () => {
    changed.resolve()
    changed = Promise.withResolvers<void>()
  }
  const until = async (condition: () => boolean) => {
    while (!condition()) await changed.promise
  }
  const end = subscribe({
    url: `${broker.url.replace('http', 'ws')}/ws`,
    token: TOKENS.dashboard,
    filters: ['ci/**'],
    onEvent: (event: { data: unknown }) => {
      seen.push(event.data)
      announce()
    },
    onState: (state: string) => {
      states.push(state)
      announce()
    },
  })
  await until(() => states.includes('live'))
  await publish('ci/a', 1)
  await until(() => seen.length === 1)
  await broker.kill('SIGKILL')
  await until(() => states.at(-1) === 'reconnecting')
  await broker.restart()
  await publish('ci/a', 2)
  await until(() => seen.length === 2)
  assert.deepEqual(seen, [1, 2])
  end()
})

test('the dashboard keeps saying why it ended', async () => {
  const { promise, resolve } = Promise.withResolvers<string>()
  const options = { filters: ['ci/**'], onEvent: () => {} }
  const onState = (state: string) => {
    if (state.startsWith('ended')) resolve(state)
  }
  const url = `${broker.url.replace('http', 'ws')}/ws`
  const end = subscribe({ ...options, url, token: 'dbk_x', onState })
  assert.equal(await promise, 'ended: the token is not known')
  end()
})

test('the dashboard says what to look for when it was never let in, and goes on trying', async () => {
  let requests = 0
  const again = Promise.withResolvers<void>()
  await using server = createServer((_, response) => {
    requests += 1
    if (requests === 2) again.resolve()
    response.writeHead(403).end()
  })
  const port = await listen(server)
  const states: string[] = []
  const end = subscribe({
    url: `ws://127.0.0.1:${port}/ws`,
    token: 'dbk_x',
    filters: ['ci/**'],
    onEvent: () => {},
    onState: (state: string) => states.push(state),
  })
  await again.promise
  end()
  assert.match(String(states[0]), /^not let in: .*--origins/)
})

const UPLOAD = join(ROOT, 'examples/upload-artifact.sh')

test('the CI script stores artifacts and tells of each, once however often it runs', async () => {
  const env = { ...process.env, BROKER_URL: broker.url, BROKER_TOKEN: TOKENS.jenkins }
  const names = ['app.tgz', 'a "b" #1?é%20,{x}[1-3].tgz']
  for (const name of names) {
    const artifact = join(broker.directory, name)
    await writeFile(artifact, name)
    for (let i = 0; i < 2; i += 1) await run(UPLOAD, [artifact, 'builds/jenkins/app/42'], { env })
  }
  const headers = { 'x-broker-token': admin }
  const page = await (await fetch(`${broker.url}/events/ci/jenkins/build`, { headers })).json()
  const { events } = page as { events: readonly { data: { artifact: string } }[] }
  const told = events.map(({ data }) => data.artifact)
  assert.deepEqual(
    told,
    names.map((name) => `builds/jenkins/app/42/${name}`),
  )
  for (const [index, path] of told.entries()) {
    const url = `${broker.url}/files/${path.split('/').map(encodeURIComponent).join('/')}`
    assert.equal(await (await fetch(url, { headers })).text(), names[index])
  }
})

test('the CI script tries no refusal again', async () => {
  let requests = 0
  await using server = createServer((request, response) => {
    requests += 1
    request.resume()
    response.writeHead(403).end('forbidden')
  })
  const port = await listen(server)
  const env = { ...process.env, BROKER_URL: `http://127.0.0.1:${port}`, BROKER_TOKEN: 'dbk_x' }
  const artifact = join(ROOT, 'LICENSE')
  const { code, stdout } = await run(UPLOAD, [artifact, 'builds'], { env, mayFail: true })
  assert.equal(code, 22)
  assert.equal(stdout, 'forbidden')
  assert.equal(requests, 1)
})

test('the TypeScript example prints changes of files', async () => {
  const env = { ...process.env, BROKER_URL: broker.url, BROKER_TOKEN: admin }
  const child = spawn(process.execPath, [join(ROOT, 'examples/follow-files.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let line: string | undefined
  const printed = once(createInterface({ input: child.stdout }), 'line').then(([text]) => {
    line = text
  })
  for (let i = 0; line === undefined; i += 1) {
    const headers = { 'x-broker-token': admin }
    const upload = fetch(`${broker.url}/files/followed`, { method: 'PUT', body: `${i}`, headers })
    await Promise.race([printed, upload])
  }
  assert.match(line, /^FILE (CREATED|UPDATED) followed$/)
  child.kill('SIGKILL')
})

const example = (name: string) => join(ROOT, 'examples', name)

test('the Python programs publish, subscribe and resume', { skip: PYZMQ_MISSING }, async () => {
  const env = {
    BROKER_USER: 'admin',
    BROKER_TOKEN: admin,
    BROKER_ZMQ_SUBSCRIBE: broker.zmqSubscribe,
    BROKER_ZMQ_SESSION: broker.zmqSession,
  }
  const say = (data: string) =>
    run(PYTHON, [example('zmq_publish.py'), 'py/x', data], { env: { ...process.env, ...env } })
  using plain = new PythonProcess(example('zmq_subscribe.py'), ['py/'], env)
  let isHeard = false
  const heard = plain
    .wait(() => true)
    .then(() => {
      isHeard = true
    })
  while (!isHeard) await Promise.race([heard, say('"probe"')])

  const file = join(broker.directory, 'position')
  await say('"one"')
  {
    using resuming = new PythonProcess(example('zmq_resume.py'), ['py/**', file], env)
    await resuming.wait((line) => line === 'py/x "one"')
    // What is printed is remembered before the next event is printed.
    await say('"then"')
    await resuming.wait((line) => line === 'py/x "then"')
  }
  await say('"two"')
  await publishCloudEvent({ specversion: '1.0', type: 'bare', topic: 'py/x' })
  await publishCloudEvent({ specversion: '1.0', type: 'bin', topic: 'py/x', data_base64: 'AP8=' })
  await plain.wait((line) => line === 'py/x null')
  await plain.wait((line) => line === 'py/x "AP8="')
  using again = new PythonProcess(example('zmq_resume.py'), ['py/**', file], env)
  await again.wait((line) => line === 'py/x "AP8="')
  assert.ok(again.lines.includes('py/x null'))
  assert.ok(!again.lines.includes('py/x "one"'))
  assert.equal(again.lines.filter((line) => line === 'py/x "two"').length, 1)
  assert.match(await readFile(file, 'utf8'), /^[0-9a-z]+:\d+$/)
})

test('the Python program that resumes does so when the broker was killed, and when it was stopped', {
  skip: PYZMQ_MISSING,
}, async () => {
  const file = join(broker.directory, 'position-across-restarts')
  const env = { BROKER_TOKEN: admin, BROKER_ZMQ_SESSION: broker.zmqSession, PING_SECONDS: '0.2' }
  using program = new PythonProcess(example('zmq_resume.py'), ['restarts/**', file], env)
  const expected: string[] = []
  const say = async (what: string) => {
    await publish('restarts/x', what)
    expected.push(`restarts/x "${what}"`)
  }
  const heard = () => program.wait((line) => line === expected.at(-1))
  await say('before')
  await heard()
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await broker.kill(signal)
    await broker.restart()
    await say(`after ${signal}`)
    await heard()
    await say(`long after ${signal}`)
    await heard()
  }
  assert.deepEqual(program.lines, expected)
})
