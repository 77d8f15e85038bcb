import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { TestSocket } from '../support/test-socket.ts'

interface FileEvent {
  readonly type: string
  readonly subject: string
  readonly data: { readonly errors?: readonly { message: string }[]; readonly origin: string }
}

const RULES = [{ paths: 'judged/**', content: { schema: 'schema.json' } }]
const SCHEMA = { type: 'object', required: ['good'] }
const [GOOD, BETTER, BAD, WORSE] = ['{"good":1}', '{"good":2}', '{"bad":1}', '{"bad":2}']

/** A broker that judges what is below `judged/`, and one who listens to all its files. */
async function startJudging(rules: readonly unknown[] = RULES) {
  const policies = await mkdtemp(join(tmpdir(), 'broker-rules-'))
  const filePolicy = join(policies, 'files.json')
  await writeFile(join(policies, 'schema.json'), JSON.stringify(SCHEMA))
  await writeFile(filePolicy, JSON.stringify({ rules }))
  const first = await startGateway({ filePolicy, settle: '20ms' })
  return new Judging(policies, filePolicy, first, await listenTo(first))
}

class Judging implements AsyncDisposable {
  readonly #policies: string
  readonly #filePolicy: string
  #broker: TestGateway
  #socket: TestSocket
  #seen = 0

  constructor(policies: string, filePolicy: string, broker: TestGateway, socket: TestSocket) {
    this.#policies = policies
    this.#filePolicy = filePolicy
    this.#broker = broker
    this.#socket = socket
  }

  on(path: string): string {
    return join(this.#broker.directory, 'data/files', path)
  }

  async write(path: string, text: string): Promise<void> {
    await mkdir(dirname(this.on(path)), { recursive: true })
    await writeFile(this.on(path), text)
  }

  /** As editors do it: a new file under the old name. */
  async replace(path: string, text: string): Promise<void> {
    await writeFile(`${this.on(path)}.tmp`, text)
    await rename(`${this.on(path)}.tmp`, this.on(path))
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    return this.#broker.request(`/files/${path}`, { ...init, as: 'admin' })
  }

  put(path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.request(path, { method: 'PUT', body, headers })
  }

  async served(path: string): Promise<string | number> {
    const answer = await this.request(path)
    return answer.status === 200 ? await answer.text() : answer.status
  }

  async listed(): Promise<string[]> {
    const answer = await this.request('judged/')
    if (answer.status === 404) return []
    const { entries } = (await answer.json()) as {
      entries: { name: string; etag: string | null }[]
    }
    assert.ok(entries.every(({ etag }) => etag !== null))
    return entries.map(({ name }) => name)
  }

  /** The next event of a file. */
  async next(): Promise<FileEvent> {
    const events = await this.#socket.waitEvents(this.#seen + 1)
    this.#seen += 1
    return events[this.#seen - 1] as unknown as FileEvent
  }

  async nextType(): Promise<string> {
    const { type, subject } = await this.next()
    return `${type} ${subject}`
  }

  /** Nothing but what was heard was told until now: the next event is that of a new file. */
  async heardAll(): Promise<void> {
    const path = `barrier-${this.#seen}`
    await this.write(path, path)
    assert.equal(await this.nextType(), `FILE CREATED ${path}`)
  }

  async restart(rules?: readonly unknown[], whileDown: () => Promise<void> = async () => {}) {
    const since = this.#socket.events.at(-1)?.['position']
    this.#socket[Symbol.dispose]()
    if (rules !== undefined) await writeFile(this.#filePolicy, JSON.stringify({ rules }))
    await this.#broker.gateway.close()
    await whileDown()
    this.#broker = await this.#broker.restart()
    this.#socket = await listenTo(this.#broker, since as string | undefined)
    this.#seen = 0
  }

  async reload(schema: unknown): Promise<void> {
    await writeFile(join(this.#policies, 'schema.json'), JSON.stringify(schema))
    await this.#broker.gateway.reload()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket[Symbol.dispose]()
    await this.#broker[Symbol.asyncDispose]()
    await rm(this.#policies, { recursive: true })
  }
}

async function listenTo(broker: TestGateway, since?: string): Promise<TestSocket> {
  const query = since === undefined ? '' : `?since=${encodeURIComponent(since)}`
  return TestSocket.open(`${broker.wsUrl}/events/files/**${query}`, { token: broker.adminToken })
}

for (const way of ['write', 'replace'] as const) {
  test(`of a bad edit on disk (${way}) an event tells, and the last good content is served`, async () => {
    await using judging = await startJudging()
    const { headers } = await judging.put('judged/a.json', GOOD)
    assert.equal(await judging.nextType(), 'FILE CREATED judged/a.json')
    await judging[way]('judged/a.json', BAD)
    const rejected = await judging.next()
    assert.equal(rejected.type, 'FILE REJECTED')
    assert.deepEqual(rejected.data.errors, [
      { message: "/ must have required property 'good'", line: 1, column: 1 },
    ])
    const answer = await judging.request('judged/a.json')
    assert.equal(await answer.text(), GOOD)
    assert.equal(answer.headers.get('etag'), headers.get('etag'))
    assert.equal(answer.headers.get('content-length'), String(GOOD.length))
    assert.deepEqual(await judging.listed(), ['a.json'])
    assert.equal(await readFile(judging.on('judged/a.json'), 'utf8'), BAD)
    await judging.heardAll()
  })
}

test('a refused file is put right by an edit, by the former content, or by an upload', async () => {
  await using judging = await startJudging()
  const { headers } = await judging.put('judged/a.json', GOOD)
  assert.equal(await judging.nextType(), 'FILE CREATED judged/a.json')
  await judging.write('judged/a.json', BAD)
  assert.equal(await judging.nextType(), 'FILE REJECTED judged/a.json')
  await judging.write('judged/a.json', GOOD)
  await judging.heardAll()
  await judging.write('judged/a.json', WORSE)
  assert.equal(await judging.nextType(), 'FILE REJECTED judged/a.json')
  await judging.write('judged/a.json', BETTER)
  assert.equal(await judging.nextType(), 'FILE UPDATED judged/a.json')
  assert.equal(await judging.served('judged/a.json'), BETTER)

  await judging.write('judged/a.json', BAD)
  assert.equal(await judging.nextType(), 'FILE REJECTED judged/a.json')
  const stale = await judging.put('judged/a.json', GOOD, { 'if-match': headers.get('etag') ?? '' })
  assert.equal(stale.status, 412)
  const present = (await judging.request('judged/a.json')).headers.get('etag') ?? ''
  const same = await judging.put('judged/a.json', BETTER, { 'if-match': present })
  assert.equal(same.status, 200)
  assert.equal(await readFile(judging.on('judged/a.json'), 'utf8'), BETTER)
  await judging.heardAll()
})

test('a bad edit that nobody has judged yet is told before the upload that replaces it', async () => {
  await using judging = await startJudging()
  await judging.put('judged/a.json', GOOD)
  await judging.write('judged/a.json', BAD)
  assert.equal((await judging.put('judged/a.json', BETTER)).status, 200)
  for (const type of ['CREATED', 'REJECTED', 'UPDATED']) {
    assert.equal(await judging.nextType(), `FILE ${type} judged/a.json`)
  }
  assert.equal(await judging.served('judged/a.json'), BETTER)
})

test('a new file that is bad is told once and neither served nor listed', async () => {
  await using judging = await startJudging()
  await judging.write('judged/a.json', BAD)
  assert.equal(await judging.nextType(), 'FILE REJECTED judged/a.json')
  assert.equal(await judging.served('judged/a.json'), 404)
  assert.deepEqual(await judging.listed(), [])
  assert.equal((await judging.request('judged/a.json', { method: 'DELETE' })).status, 404)
  await judging.write('judged/a.json', BAD)
  await judging.heardAll()
  const answer = await judging.put('judged/a.json', GOOD, { 'if-none-match': '*' })
  assert.equal(answer.status, 201)
  assert.equal(await judging.nextType(), 'FILE CREATED judged/a.json')
  assert.equal(await judging.served('judged/a.json'), GOOD)
})

test('a refused file that is deleted is told as deleted, and its good content goes too', async () => {
  await using judging = await startJudging()
  for (const path of ['judged/a.json', 'judged/b.json']) {
    await judging.put(path, GOOD)
    assert.equal(await judging.nextType(), `FILE CREATED ${path}`)
    await judging.write(path, BAD)
    assert.equal(await judging.nextType(), `FILE REJECTED ${path}`)
  }
  await rm(judging.on('judged/a.json'))
  assert.equal(await judging.nextType(), 'FILE DELETED judged/a.json')
  assert.equal((await judging.request('judged/b.json', { method: 'DELETE' })).status, 204)
  assert.equal(await judging.nextType(), 'FILE DELETED judged/b.json')
  for (const path of ['judged/a.json', 'judged/b.json']) {
    await judging.write(path, BAD)
    assert.equal(await judging.nextType(), `FILE REJECTED ${path}`)
    assert.equal(await judging.served(path), 404)
  }
})

test('a restart tells nothing of a refused file twice, and serves as before', async () => {
  await using judging = await startJudging()
  await judging.put('judged/a.json', GOOD)
  assert.equal(await judging.nextType(), 'FILE CREATED judged/a.json')
  await judging.write('judged/a.json', BAD)
  assert.equal(await judging.nextType(), 'FILE REJECTED judged/a.json')
  await judging.write('judged/new.json', BAD)
  assert.equal(await judging.nextType(), 'FILE REJECTED judged/new.json')
  await judging.restart()
  await judging.heardAll()
  assert.equal(await judging.served('judged/a.json'), GOOD)
  assert.equal(await judging.served('judged/new.json'), 404)
  await judging.restart(undefined, () => judging.write('judged/a.json', WORSE))
  const { type, data } = await judging.next()
  assert.deepEqual([type, data.origin], ['FILE REJECTED', 'offline'])
  assert.equal(await judging.served('judged/a.json'), GOOD)
})

test('what was accepted before a rule stays until it is changed, and is kept then', async () => {
  await using judging = await startJudging([])
  await judging.write('judged/a.json', BAD)
  assert.equal(await judging.nextType(), 'FILE CREATED judged/a.json')
  await judging.restart(RULES)
  assert.equal(await judging.served('judged/a.json'), BAD)
  await judging.write('judged/a.json', WORSE)
  assert.equal(await judging.nextType(), 'FILE REJECTED judged/a.json')
  assert.equal(await judging.served('judged/a.json'), BAD)
  await judging.write('judged/a.json', GOOD)
  assert.equal(await judging.nextType(), 'FILE UPDATED judged/a.json')
  await judging.restart([])
  await judging.write('judged/a.json', WORSE)
  assert.equal(await judging.nextType(), 'FILE UPDATED judged/a.json')
})

test('a content that nothing can judge is not told, and an upload may still replace it', async () => {
  const command = ['/bin/sh', '-c', 'grep -q hang && kill -9 $$; exit 0']
  await using judging = await startJudging([{ paths: 'judged/**', content: { command } }])
  await judging.put('judged/a.txt', 'one')
  assert.equal(await judging.nextType(), 'FILE CREATED judged/a.txt')
  await judging.write('judged/a.txt', 'hang')
  await judging.heardAll()
  assert.equal(await judging.served('judged/a.txt'), 'one')
  assert.equal((await judging.put('judged/a.txt', 'two')).status, 200)
  assert.equal(await judging.nextType(), 'FILE UPDATED judged/a.txt')
  assert.equal(await judging.served('judged/a.txt'), 'two')
})

test('schemas are read again on demand, and what they refused is judged again', async () => {
  await using judging = await startJudging()
  await judging.write('judged/a.json', BAD)
  assert.equal(await judging.nextType(), 'FILE REJECTED judged/a.json')
  await judging.reload({ type: 'strin' })
  assert.equal((await judging.put('judged/b.json', BAD)).status, 422)
  await judging.reload({ required: ['bad'] })
  assert.equal(await judging.nextType(), 'FILE CREATED judged/a.json')
  assert.equal((await judging.put('judged/b.json', BAD)).status, 201)
  assert.equal((await judging.put('judged/b.json', GOOD)).status, 422)
})

test('whatever is written on disk or uploaded, what is served fits the schema', async () => {
  await using judging = await startJudging()
  const contents = fc.oneof(
    fc.json({ maxDepth: 2 }),
    fc.record({ good: fc.jsonValue({ maxDepth: 1 }) }).map((value) => JSON.stringify(value)),
    fc.string(),
  )
  const ways = fc.constantFrom('write', 'replace', 'put', 'remove')
  const steps = fc.array(fc.tuple(ways, fc.constantFrom('judged/a', 'judged/b'), contents), {
    maxLength: 8,
  })
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      for (const [way, path, text] of list) {
        if (way === 'remove') await rm(judging.on(path), { force: true })
        else if (way === 'put') await (await judging.put(path, text)).body?.cancel()
        else {
          await mkdir(dirname(judging.on(path)), { recursive: true })
          await judging[way](path, text)
        }
        const served = await judging.served(path)
        if (served === 404) continue
        assert.ok(typeof served === 'string', String(served))
        assert.ok(Object.hasOwn(JSON.parse(served) as object, 'good'), served)
      }
    }),
    { numRuns: 40 },
  )
})
