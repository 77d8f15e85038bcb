import assert from 'node:assert/strict'
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { EventSource } from 'eventsource'
import { BrokerBehindNginx, ROOT, type RunResult, run } from '../support/broker-process.ts'
import { TOKENS, USERS_XML } from '../support/gateway.ts'
import { NGINX_MISSING } from '../support/nginx.ts'
import { PYTHON, PYZMQ_MISSING, PythonProcess } from '../support/python.ts'
import { TestSocket } from '../support/test-socket.ts'

/** The whole of it, as it is used: a broker process behind the real Nginx, asked by real clients. */
const options = { skip: NGINX_MISSING || PYZMQ_MISSING }

let front: BrokerBehindNginx
let admin: string

before(async () => {
  if (options.skip !== false) return
  front = await BrokerBehindNginx.start()
  admin = await front.broker.adminToken()
})

after(() => front?.[Symbol.asyncDispose]())

function curl(...args: string[]): Promise<RunResult> {
  return run('curl', ['-sS', ...args])
}

/** Status and body of a request made by curl. */
async function ask(token: string, ...args: string[]): Promise<[number, string]> {
  const { stdout } = await curl('-w', '\n%{http_code}', '-H', `X-Broker-Token: ${token}`, ...args)
  const end = stdout.lastIndexOf('\n')
  return [Number(stdout.slice(end + 1)), stdout.slice(0, end)]
}

interface FileEvent {
  readonly type: string
  readonly subject: string
}

/** A WebSocket, an EventSource and a Python SUB socket, all through Nginx, that hear of files. */
async function subscribeEverywhere() {
  const cleanup = new DisposableStack()
  const socket = cleanup.use(await TestSocket.open(`${front.wsUrl}/ws`, { token: admin }))
  await socket.ask({ op: 'subscribe', filters: ['files/**', 'probe/**'] })

  const source = new EventSource(`${front.url}/events/files/**`, {
    fetch: (input, init) =>
      fetch(input, { ...init, headers: { ...init.headers, 'x-broker-token': admin } }),
  })
  cleanup.defer(() => source.close())
  const sse: FileEvent[] = []
  const opened = Promise.withResolvers<void>()
  let heard = Promise.withResolvers<void>()
  source.onopen = () => opened.resolve()
  source.onmessage = ({ data }) => {
    sse.push(JSON.parse(data))
    heard.resolve()
    heard = Promise.withResolvers<void>()
  }
  await opened.promise

  const python = cleanup.use(
    new PythonProcess(join(ROOT, 'test/support/python/zmq_events.py'), [], {
      BROKER_USER: 'admin',
      BROKER_TOKEN: admin,
      BROKER_ZMQ_SUBSCRIBE: front.zmqSubscribe,
    }),
  )
  // A SUB socket does not say when it is subscribed: it is when it hears something.
  let isHeard = false
  const first = python
    .wait((line) => line.startsWith('probe'))
    .then(() => {
      isHeard = true
    })
  while (!isHeard) await Promise.race([ask(admin, `${front.url}/events/probe/x`, '-d', '1'), first])

  const of = (subject: string) => (event: FileEvent) => event.subject === subject
  return {
    /** Types of the events about a file that each of the three has heard, once all heard `mark`. */
    async until(mark: string, subject: string): Promise<string[][]> {
      await socket.wait(({ subject: about }) => about === mark)
      while (!sse.some(of(mark))) await heard.promise
      await python.wait((line) => line.endsWith(` ${mark}`))
      const zmq = python.lines
        .map((line) => line.split(' '))
        .filter((words) => words.at(-1) === subject)
        .map((words) => words.slice(1, -1).join(' '))
      const webSocket = socket.events as unknown as FileEvent[]
      return [
        webSocket.filter(of(subject)).map(({ type }) => type),
        sse.filter(of(subject)).map(({ type }) => type),
        zmq,
      ]
    },
    [Symbol.dispose]: () => cleanup.dispose(),
  }
}

test(
  'every change of a file is heard exactly once by WebSocket, SSE and ZeroMQ',
  options,
  async () => {
    using everywhere = await subscribeEverywhere()
    const url = `${front.url}/files/builds/app.txt`
    const [status, body] = await ask(admin, '-T', join(ROOT, 'LICENSE'), url)
    assert.equal(status, 201)
    assert.match(JSON.parse(body).position, /^[0-9a-z]+:\d+$/)

    const files = join(front.broker.directory, 'data/files')
    await appendFile(join(files, 'builds/app.txt'), 'edited on disk\n')
    await ask(admin, `${front.url}/files/wait`, '-X', 'PUT', '-d', 'x')
    // The edit is told when it has settled; what follows it is told later.
    await everywhere.until('wait', 'wait')
    await waitForEvent('builds/app.txt', 'FILE UPDATED')
    await rm(join(files, 'builds/app.txt'))
    await waitForEvent('builds/app.txt', 'FILE DELETED')
    await ask(admin, `${front.url}/files/mark`, '-X', 'PUT', '-d', 'x')

    const changes = ['FILE CREATED', 'FILE UPDATED', 'FILE DELETED']
    assert.deepEqual(await everywhere.until('mark', 'builds/app.txt'), [changes, changes, changes])
  },
)

/** Long-polls until the history has an event of this type about a file. */
async function waitForEvent(subject: string, type: string): Promise<void> {
  let since = 'earliest'
  for (;;) {
    const target = `${front.url}/events/files/${subject}?wait=30&since=${since}`
    const page = JSON.parse((await ask(admin, target))[1])
    if (page.events.some((event: FileEvent) => event.type === type)) return
    since = page.position
  }
}

test('an event that a Python program publishes reaches a dashboard', options, async () => {
  using dashboard = await TestSocket.open(`${front.wsUrl}/ws`)
  await dashboard.ask({ op: 'auth', token: TOKENS.dashboard })
  await dashboard.ask({ op: 'subscribe', filters: ['ci/**'] })
  const { stdout } = await run(
    PYTHON,
    [join(ROOT, 'examples/zmq_publish.py'), 'ci/jenkins/build', '{"build": 42}'],
    {
      env: { ...process.env, BROKER_TOKEN: TOKENS.jenkins, BROKER_ZMQ_SESSION: front.zmqSession },
    },
  )
  const [event] = await dashboard.waitEvents(1)
  assert.equal(event?.['position'], stdout.trim())
  assert.deepEqual(event?.['data'], { build: 42 })
  assert.equal(event?.['authid'], 'jenkins')
})

test('an upload without the right is 403 through Nginx, a large one too', options, async () => {
  const large = join(front.broker.directory, 'large')
  await writeFile(large, Buffer.alloc(32 * 1024 * 1024))
  for (const file of [join(ROOT, 'LICENSE'), large]) {
    const [status, body] = await ask(TOKENS.reader, '-T', file, `${front.url}/files/builds/x`)
    assert.equal(status, 403)
    assert.equal(JSON.parse(body).code, 'FORBIDDEN')
  }
  const [anonymous] = await ask('', '-H', 'X-Broker-Token:', '-T', large, `${front.url}/files/x`)
  assert.equal(anonymous, 401)
})

test('a bad users file is 422 with its faults, and the old users go on', options, async () => {
  const url = `${front.url}/files/config/broker_users.xml`
  const bad = join(front.broker.directory, 'bad.xml')
  await writeFile(bad, USERS_XML.replace('roles="ci"', 'roles="unknown"'))
  const [status, body] = await ask(admin, '-T', bad, url)
  assert.equal(status, 422)
  const { code, errors } = JSON.parse(body)
  assert.equal(code, 'CONTENT_INVALID')
  const line = USERS_XML.split('\n').findIndex((text) => text.includes('name="jenkins"')) + 1
  assert.equal(errors[0].line, line)
  assert.equal((await ask(TOKENS.jenkins, `${front.url}/auth/me`))[0], 200)

  const good = join(front.broker.directory, 'good.xml')
  await writeFile(good, USERS_XML.replace(/ *<user name="reader".*\n/, ''))
  assert.equal((await ask(admin, '-T', good, url))[0], 200)
  assert.equal((await ask(TOKENS.reader, `${front.url}/auth/me`))[0], 401)
  await writeFile(good, USERS_XML)
  assert.equal((await ask(admin, '-T', good, url))[0], 200)
  assert.equal((await ask(TOKENS.reader, `${front.url}/auth/me`))[0], 200)
})

test('a download is sent by Nginx with the tag and digest of the broker', options, async () => {
  const url = `${front.url}/files/downloads/l`
  await ask(admin, '-T', join(ROOT, 'LICENSE'), url)
  const direct = await fetch(`${front.broker.url}/files/downloads/l`, {
    headers: { 'x-broker-token': admin },
  })
  const { stdout } = await curl('-i', '-H', `X-Broker-Token: ${admin}`, url)
  const [head, body] = stdout.split('\r\n\r\n')
  assert.equal(body, await readFile(join(ROOT, 'LICENSE'), 'utf8'))
  assert.match(head ?? '', new RegExp(`ETag: ${direct.headers.get('etag')}\r\n`, 'i'))
  assert.ok(head?.includes(String(direct.headers.get('repr-digest'))))
  assert.match(head ?? '', /Server: nginx/)
  const part = await curl('-H', `X-Broker-Token: ${admin}`, '-r', '10-19', url)
  assert.equal(part.stdout, body?.slice(10, 20))
  const tag = `If-None-Match: ${direct.headers.get('etag')}`
  assert.equal((await ask(admin, '-H', tag, url))[0], 304)
})

test('a drained broker ends with 0 and its clients come back', options, async () => {
  using socket = await TestSocket.open(`${front.wsUrl}/ws`, { token: admin })
  await socket.ask({ op: 'subscribe', filters: ['resume/**'] })
  await ask(admin, `${front.url}/events/resume/x`, '-d', '1')
  const [event] = await socket.waitEvents(1)
  const ended = front.broker.kill('SIGTERM')
  assert.equal((await socket.closed).code, 1012)
  assert.equal(await ended, 0)
  await front.broker.restart()
  await ask(admin, `${front.url}/events/resume/x`, '-d', '2')
  using again = await TestSocket.open(`${front.wsUrl}/ws`, { token: admin })
  const reply = await again.ask({
    op: 'subscribe',
    filters: ['resume/**'],
    since: event?.['position'],
  })
  assert.equal(reply['recovered'], true)
  await again.waitEvents(1)
  assert.deepEqual(again.data, [2])
})

test(
  'kill -9 during uploads leaves no partial file and no acknowledged one missing',
  options,
  async () => {
    const { broker } = front
    const headers = { 'x-broker-token': admin }
    const acknowledged = new Map<string, string>()
    await mkdir(join(broker.directory, 'data/files'), { recursive: true })
    for (let round = 0; round < 3; round += 1) {
      let isRunning = true
      const uploaders = Array.from({ length: 8 }, async (_, worker) => {
        for (let i = 0; isRunning; i += 1) {
          const path = `crash/${round}-${worker}-${i}`
          const body = `${path} `.repeat(1 + ((i * 997) % 20_000))
          const answer = await fetch(`${broker.url}/files/${path}`, {
            method: 'PUT',
            body,
            headers,
          }).catch(() => undefined)
          if (answer?.status === 201) acknowledged.set(path, body)
          else isRunning = false
        }
      })
      while (acknowledged.size < (round + 1) * 40) await fetch(`${broker.url}/livez`)
      await broker.kill('SIGKILL')
      await Promise.all(uploaders)
      await broker.restart()
      await assertWhole(acknowledged)
    }
  },
)

/** Every listed file is whole, and every acknowledged one is listed and told. */
async function assertWhole(acknowledged: ReadonlyMap<string, string>): Promise<void> {
  const { broker } = front
  const headers = { 'x-broker-token': admin }
  const listed = new Set<string>()
  for (let cursor = ''; ; ) {
    const target = `${broker.url}/files/crash/?recursive&limit=1000&cursor=${encodeURIComponent(cursor)}`
    const { entries, next } = (await (await fetch(target, { headers })).json()) as {
      entries: { name: string }[]
      next: string | null
    }
    for (const { name } of entries) listed.add(`crash/${name}`)
    if (next === null) break
    cursor = next
  }
  const told = new Map<string, number>()
  for (let since = 'earliest'; ; ) {
    const target = `${broker.url}/events/files/crash/*?limit=1000&since=${since}`
    const page = (await (await fetch(target, { headers })).json()) as {
      events: FileEvent[]
      more: boolean
      position: string
    }
    for (const { subject } of page.events) told.set(subject, (told.get(subject) ?? 0) + 1)
    if (!page.more) break
    since = page.position
  }
  for (const path of acknowledged.keys()) assert.ok(listed.has(path), `${path} is missing`)
  for (const path of listed) {
    const text = await (await fetch(`${broker.url}/files/${path}`, { headers })).text()
    assert.ok(text.length > 0 && text.replaceAll(`${path} `, '') === '', `${path} is not whole`)
    if (acknowledged.has(path)) assert.equal(text, acknowledged.get(path))
    assert.equal(told.get(path), 1, `${path} was told ${told.get(path)} times`)
  }
}
