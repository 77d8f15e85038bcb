import assert from 'node:assert/strict'
import { appendFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { auditLines } from '../../src/gateway/audit/audit-files.ts'
import { AuditLog, type AuditState } from '../../src/gateway/audit/audit-log.ts'
import { type AuditRecord, NOBODY } from '../../src/gateway/audit/audit-record.ts'
import { collect } from '../client/collect.ts'

const NOW = Date.parse('2026-11-20T10:00:00Z')

function record(target: string, more: Partial<AuditRecord> = {}): AuditRecord {
  return { ...NOBODY, action: 'file.create', target, outcome: 'done', ...more }
}

async function directory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'audit-'))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

async function targetsIn(path: string, sinceMs = 0): Promise<unknown[]> {
  const lines = await collect(auditLines(path, sinceMs))
  return lines.map(({ target }) => target)
}

test('what is recorded is there after the log is closed, in order, and once', async () => {
  await using home = await directory()
  const log = new AuditLog({ directory: home.path, now: () => NOW })
  for (let i = 0; i < 3000; i += 1) log.record(record(`f${i}`))
  await log.close()
  assert.deepEqual(
    await targetsIn(home.path),
    Array.from({ length: 3000 }, (_, i) => `f${i}`),
  )
  assert.deepEqual(log.state, { written: 3000, lost: 0, waiting: 0, failure: undefined })
})

test('a full file is followed by the next one, and the oldest go beyond the bound', async () => {
  await using home = await directory()
  const options = { directory: home.path, now: () => NOW, maxFileBytes: 200, maxBytes: 700 }
  await using log = new AuditLog(options)
  for (let i = 0; i < 20; i += 1) {
    log.record(record(`f${i}`))
    await log.flush()
  }
  const names = (await readdir(home.path)).sort()
  assert.ok(names.length > 1 && names.length < 8, names.join())
  assert.equal((await targetsIn(home.path)).at(-1), 'f19')
})

test('each day has a file of its own, and a time of before is found by its line', async () => {
  await using home = await directory()
  let now = NOW
  await using log = new AuditLog({ directory: home.path, now: () => now })
  log.record(record('first'))
  await log.flush()
  now += 86_400_000
  log.record(record('second'))
  await log.flush()
  assert.deepEqual((await readdir(home.path)).sort(), [
    '2026-11-20.0001.jsonl',
    '2026-11-21.0001.jsonl',
  ])
  assert.deepEqual(await targetsIn(home.path, NOW + 1), ['second'])
})

test('a line that a crash cut short harms neither those before nor those after it', async () => {
  await using home = await directory()
  await writeFile(join(home.path, '2026-11-20.0001.jsonl'), '')
  await appendFile(
    join(home.path, '2026-11-20.0001.jsonl'),
    '{"time":"2026-11-20T09:00:00.000Z","target":"a"}\n{"ti',
  )
  {
    await using log = new AuditLog({ directory: home.path, now: () => NOW })
    log.record(record('b'))
  }
  assert.deepEqual(await targetsIn(home.path), ['a', 'b'])
})

test('records wait while nothing can be written, and what is beyond the bound is counted', async () => {
  await using home = await directory()
  const path = join(home.path, 'audit')
  // Every write to it fails as on a full disk.
  await mkdir(path)
  const file = join(path, '2026-11-20.0001.jsonl')
  await symlink('/dev/full', file)
  const failures: AuditState[] = []
  const onFailure = (state: AuditState) => void failures.push(state)
  await using log = new AuditLog({ directory: path, now: () => NOW, retryMs: 1, onFailure })
  for (let i = 0; i < 10_005; i += 1) log.record(record(`f${i}`))
  await log.flush()
  assert.deepEqual(log.state, { written: 0, lost: 5, waiting: 10_000, failure: 'ENOSPC' })
  assert.deepEqual(
    failures.map(({ failure }) => failure),
    ['ENOSPC'],
  )
  await rm(file)
  await log.close()
  const targets = await targetsIn(path)
  assert.equal(targets.length, 10_001)
  const lines = await collect(auditLines(path, 0))
  const lost = lines.find(({ action }) => action === 'audit.lost')
  assert.equal(lost?.['count'], 5)
})

test('refusals of one kind get ten lines a minute and a count of the rest', async () => {
  await using home = await directory()
  let now = NOW
  const log = new AuditLog({ directory: home.path, now: () => now })
  const refused = record('x', { action: 'auth', outcome: 'refused', code: 'CREDENTIAL_INVALID' })
  for (let i = 0; i < 100; i += 1) log.record({ ...refused, address: '10.0.0.1' })
  log.record({ ...refused, address: '10.0.0.2' })
  now += 60_000
  log.record({ ...refused, address: '10.0.0.1' })
  await log.close()
  const lines = await collect(auditLines(home.path, 0))
  const counts = lines.map(({ address, count }) => `${address} ${count ?? 1}`)
  const expected = [
    ...Array.from({ length: 10 }, () => '10.0.0.1 1'),
    '10.0.0.2 1',
    '10.0.0.1 90',
    '10.0.0.1 1',
  ]
  assert.deepEqual(counts, expected)
})

test('whoever has many addresses has not many lines, and all of them are counted', async () => {
  await using home = await directory()
  const log = new AuditLog({ directory: home.path, now: () => NOW })
  const refused = record('x', { action: 'auth', outcome: 'refused', code: 'CREDENTIAL_INVALID' })
  for (let i = 0; i < 5000; i += 1) {
    log.record({ ...refused, address: `10.0.${i >> 8}.${i & 255}` })
    log.record({ ...refused, address: `2001:db8::${i.toString(16)}` })
  }
  await log.close()
  const lines = await collect(auditLines(home.path, 0))
  assert.ok(lines.length < 200, String(lines.length))
  assert.equal(
    lines.reduce((sum, { count }) => sum + Number(count ?? 1), 0),
    10_000,
  )
})

test('what is no record is passed over, whatever it is', async () => {
  await using home = await directory()
  const file = join(home.path, '2026-11-20.0001.jsonl')
  await writeFile(file, '[]\nnull\n{}\n{"time":5}\n\xff\0\n"time"\n\n', 'latin1')
  await using log = new AuditLog({ directory: home.path, now: () => NOW })
  log.record(record('a'))
  await log.flush()
  assert.deepEqual(await targetsIn(home.path), ['a'])
})
