import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { SyncBarrier } from '../../src/files/watch/sync-barrier.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { breakSyncOf } from '../support/unsyncable.ts'

interface Told {
  readonly subject: string
  readonly position: string
}

/** All FILE events of the log, in order. */
async function toldBy(broker: TestGateway): Promise<readonly Told[]> {
  const url = '/events/files/**?since=earliest&limit=1000'
  const response = await broker.request(url, { as: 'admin' })
  const page: unknown = await response.json()
  assert.ok(typeof page === 'object' && page !== null && 'events' in page)
  return page.events as Told[]
}

async function sync(broker: TestGateway, as: 'admin' | 'dashboard' | 'reader' = 'admin') {
  const response = await broker.request('/files/sync', { method: 'POST', as })
  const answer = (await response.json()) as { readonly position: string }
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('broker-position'), answer.position)
  return answer.position
}

function offsetOf(position: string): number {
  return Number(position.split(':')[1])
}

describe('the sync barrier', () => {
  it('answers when all that was written on disk is told, at or before its position', async () => {
    await using broker = await startGateway({ settle: '50ms' })
    const directory = join(broker.directory, 'data/files/builds')
    await mkdir(directory, { recursive: true })
    const names = Array.from({ length: 500 }, (_, i) => `file-${i}`)
    await Promise.all(names.map((name) => writeFile(join(directory, name), name)))
    const position = await sync(broker)
    const told = await toldBy(broker)
    const subjects = told.map(({ subject }) => subject).filter((path) => path.startsWith('builds/'))
    assert.deepEqual(subjects.sort(), names.map((name) => `builds/${name}`).sort())
    for (const event of told) assert.ok(offsetOf(event.position) <= offsetOf(position))
  })

  it('answers nothing that is not durable', async () => {
    await using broker = await startGateway()
    await sync(broker)
    await breakSyncOf(join(broker.directory, 'data/state/broker.db-wal'))
    const response = await broker.request('/files/sync', { method: 'POST', as: 'admin' })
    assert.equal(response.status, 500)
  })

  it('is for whoever may list anything', async () => {
    await using broker = await startGateway()
    assert.match(await sync(broker, 'dashboard'), /^\w+:\d+$/)
    const anonymous = await broker.request('/files/sync', { method: 'POST', body: 'x' })
    assert.equal(anonymous.status, 401)
  })

  it('leaves the name to files that are put', async () => {
    await using broker = await startGateway()
    const put = { method: 'PUT', body: 'a file', as: 'admin' } as const
    assert.equal((await broker.request('/files/sync', put)).status, 201)
    const post = { ...put, method: 'POST', body: 'not a file' } as const
    assert.equal((await broker.request('/files/sync', post)).status, 200)
    assert.equal(await (await broker.request('/files/sync', { as: 'admin' })).text(), 'a file')
    assert.equal((await broker.request('/files/a/sync', post)).status, 201)
  })

  it('is passed once for all who came while it was under way', async () => {
    const passages: PromiseWithResolvers<number>[] = []
    const barrier = new SyncBarrier(() => {
      const passage = Promise.withResolvers<number>()
      passages.push(passage)
      return passage.promise
    })
    const first = barrier.pass()
    const later = [barrier.pass(), barrier.pass(), barrier.pass()]
    assert.equal(passages.length, 1)
    passages[0]?.reject(new Error('offline'))
    await assert.rejects(first, /offline/)
    await new Promise(setImmediate)
    assert.equal(passages.length, 2)
    passages[1]?.resolve(2)
    assert.deepEqual(await Promise.all(later), [2, 2, 2])
    const last = barrier.pass()
    assert.equal(passages.length, 3)
    passages[2]?.resolve(3)
    assert.equal(await last, 3)
  })
})
