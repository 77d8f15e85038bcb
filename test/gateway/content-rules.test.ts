import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { startGateway } from '../support/gateway.ts'

const SCHEMA = {
  type: 'object',
  properties: { build: { type: 'integer' } },
  required: ['build'],
}

/** A broker with rules for contents, in a file beside their schema. */
async function startWithRules(rules: readonly unknown[], schema: unknown = SCHEMA) {
  const directory = await mkdtemp(join(tmpdir(), 'broker-rules-'))
  const filePolicy = join(directory, 'files.json')
  await writeFile(join(directory, 'schema.json'), JSON.stringify(schema))
  await writeFile(filePolicy, JSON.stringify({ rules }))
  await using cleanup = new AsyncDisposableStack()
  cleanup.defer(() => rm(directory, { recursive: true }))
  const broker = cleanup.use(await startGateway({ filePolicy }))
  const owned = cleanup.move()
  return {
    broker,
    put: (path: string, body: string) =>
      broker.request(`/files/${path}`, { method: 'PUT', body, as: 'admin' }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

test('an upload that breaks a rule is 422 with every fault, and changes nothing', async () => {
  await using subject = await startWithRules([
    { paths: 'small/**', content: { maxSize: '10B', mediaTypes: ['text/*', 'application/json'] } },
    { paths: 'reports/**', content: { schema: 'schema.json' } },
  ])
  const { broker, put } = subject
  assert.equal((await put('reports/a.json', '{"build":1}')).status, 201)
  for (const [path, body, errors] of [
    [
      'small/a.bin',
      'more than ten bytes',
      [
        { message: 'has 19 bytes, where 10 are the most' },
        { message: 'is application/octet-stream by its name, which is not accepted here' },
      ],
    ],
    [
      'reports/a.json',
      '{\n "build":"x"}',
      [{ message: '/build must be integer', line: 2, column: 10 }],
    ],
    [
      'reports/b.ndjson',
      '{"build":1}\n{}\n',
      [{ message: "/ must have required property 'build'", line: 2, column: 1 }],
    ],
  ] as const) {
    const refused = await put(path, body)
    assert.equal(refused.status, 422)
    const problem = (await refused.json()) as { code: string; errors: unknown }
    assert.equal(problem.code, 'CONTENT_INVALID')
    assert.deepEqual(problem.errors, errors)
  }
  assert.equal((await put('small/a.txt', 'short')).status, 201)
  assert.equal((await put('elsewhere/a.bin', 'more than ten bytes')).status, 201)
  const kept = await broker.request('/files/reports/a.json', { as: 'admin' })
  assert.equal(await kept.text(), '{"build":1}')
  assert.equal((await broker.request('/files/reports/b.ndjson', { as: 'admin' })).status, 404)
})

test('uploads at the same time are each judged by a command', async () => {
  await using subject = await startWithRules([
    {
      paths: '**',
      content: {
        command: ['/bin/sh', '-c', 'grep -q good || { echo "$BROKER_PATH: bad" >&2; exit 1; }'],
      },
    },
  ])
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const answer = await subject.put(`${i}.txt`, i % 2 === 0 ? 'good' : 'evil')
      return [answer.status, (await answer.json()) as { errors?: unknown }] as const
    }),
  )
  for (const [i, [status, body]] of answers.entries()) {
    assert.equal(status, i % 2 === 0 ? 201 : 422)
    if (status === 422) assert.deepEqual(body.errors, [{ message: `${i}.txt: bad` }])
  }
})

test('an upload that nothing could judge is 503 and not accepted', async () => {
  await using subject = await startWithRules(
    [
      { paths: 'missing/**', content: { command: ['/no/such/program'] } },
      { paths: 'slow/**', content: { command: ['/bin/sleep', '1000'], timeout: '20ms' } },
      { paths: 'endless/**', content: { schema: 'schema.json', timeout: '2s' } },
    ],
    { pattern: '^(a+)+$' },
  )
  const { broker, put } = subject
  const endless = JSON.stringify(`${'a'.repeat(40)}!`)
  for (const [path, body] of [
    ['missing/x', '1'],
    ['slow/x', '1'],
    ['endless/x', endless],
  ] as const) {
    const refused = await put(path, body)
    assert.equal(refused.status, 503)
    assert.equal(((await refused.json()) as { code: string }).code, 'UNAVAILABLE')
    assert.equal((await broker.request(`/files/${path}`, { as: 'admin' })).status, 404)
  }
  assert.equal((await put('endless/x', '"aaa"')).status, 201)
})

test('a schema by which nothing can be judged refuses the start, and says which', async () => {
  const rules = [{ paths: '**', content: { schema: 'schema.json' } }]
  await assert.rejects(startWithRules(rules, { type: 'strin' }), (error: Error) =>
    /schema\.json: .*type/.test(error.message),
  )
  const missing = [{ paths: '**', content: { schema: 'other.json' } }]
  await assert.rejects(startWithRules(missing), /other\.json: cannot be read \(ENOENT\)/)
})

test('the example policy takes a good build and refuses a bad one', async () => {
  const filePolicy = join(import.meta.dirname, '../../examples/file-policy/files.json')
  await using broker = await startGateway({ filePolicy, settle: '20ms' })
  const put = async (path: string, body: string | Buffer<ArrayBuffer>) => {
    const answer = await broker.request(`/files/${path}`, { method: 'PUT', body, as: 'admin' })
    return [answer.status, (await answer.json()) as { errors?: unknown }] as const
  }
  const artifacts = [{ path: 'app.tar.gz', sha256: 'ab'.repeat(32) }]
  const manifest = {
    build: 1,
    commit: 'cd'.repeat(20),
    finished: '2026-11-20T10:00:00Z',
    artifacts,
  }
  const [accepted] = await put('builds/app/1/manifest.json', JSON.stringify(manifest))
  assert.equal(accepted, 201)
  const wrong = JSON.stringify({ ...manifest, build: '1', finished: 'today' }, undefined, 2)
  const [refused, { errors }] = await put('builds/app/2/manifest.json', wrong)
  assert.equal(refused, 422)
  assert.deepEqual(errors, [
    { message: '/build must be integer', line: 2, column: 12 },
    { message: '/finished must match format "date-time"', line: 4, column: 15 },
  ])
  assert.equal((await put('builds/app/1/app.tar.gz', gzipSync('artifact')))[0], 201)
  const [torn, { errors: why }] = await put(
    'builds/app/2/app.tar.gz',
    gzipSync('artifact').subarray(0, -1),
  )
  assert.equal(torn, 422)
  assert.match(JSON.stringify(why), /gzip: stdin/)
  assert.equal((await put('pages/index.html', '<p>'))[0], 201)
  assert.equal((await put('pages/setup.exe', 'MZ'))[0], 422)
})
