import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { restoreOver } from '../support/restore-over.ts'

const PATHS = Array.from({ length: 40 }, (_, i) => `builds/${i % 4}/f${i}`)

interface FileEvent {
  readonly type: string
  readonly subject: string
  readonly data: { readonly etag: string }
}

/** Changes files and publishes until it is aborted. */
async function load(broker: TestGateway, { signal }: { readonly signal: AbortSignal }) {
  for (let n = 0; !signal.aborted; n += 1) {
    const path = `/files/${PATHS[(n * 7) % PATHS.length]}`
    const as = 'admin'
    if (n % 5 === 4) await broker.request(path, { method: 'DELETE', as })
    else await broker.request(path, { method: 'PUT', body: `content ${n}`, as })
    await broker.request('/events/ci/jenkins/app', { method: 'POST', body: `${n}`, as })
  }
}

/** What the log says last of each file. */
async function told(broker: TestGateway): Promise<Map<string, string>> {
  const etags = new Map<string, string>()
  for (let since = 'earliest', more = true; more; ) {
    const url = `/events/files/builds/**?limit=1000&since=${since}`
    const page = await (await broker.request(url, { as: 'admin' })).json()
    const { events, position } = page as { events: FileEvent[]; position: string }
    for (const { type, subject, data } of events) {
      if (type === 'FILE DELETED') etags.delete(subject)
      else etags.set(subject, data.etag)
    }
    more = (page as { more: boolean }).more
    since = position
  }
  return etags
}

async function served(broker: TestGateway): Promise<Map<string, string>> {
  const listing = await broker.request('/files/builds/?recursive&limit=1000', { as: 'admin' })
  const { entries } = (await listing.json()) as { entries: { name: string; etag: string }[] }
  return new Map(entries.map(({ name, etag }) => [`builds/${name}`, etag]))
}

test('a backup under load is restored to files, an index and a log that agree', async () => {
  await using broker = await startGateway()
  for (const path of PATHS) {
    await broker.request(`/files/${path}`, { method: 'PUT', body: path, as: 'admin' })
  }
  const end = new AbortController()
  const loads = [load(broker, end), load(broker, end), load(broker, end)]
  const response = await broker.request('/backup?files', { as: 'admin' })
  const home = await mkdtemp(join(tmpdir(), 'backup-'))
  try {
    const archive = join(home, 'backup.tar')
    await writeFile(archive, new Uint8Array(await response.arrayBuffer()))
    end.abort()
    await Promise.all(loads)
    const before = (await (
      await broker.request('/events?since=latest', { as: 'admin' })
    ).json()) as {
      position: string
    }
    await restoreOver(broker, archive)
    const data = join(broker.directory, 'data')
    assert.ok(!(await readdir(data)).some((name) => name.includes('.restore-')))
    await using restored = await broker.restart()
    await restored.request('/files/sync', { method: 'POST', as: 'admin' })
    const files = await served(restored)
    assert.ok(files.size > 0)
    assert.deepEqual(await told(restored), files)
    for (const [path, etag] of files) {
      const file = await restored.request(`/files/${path}`, { as: 'admin' })
      assert.equal(file.headers.get('etag'), etag)
    }
    const url = `/events?since=${encodeURIComponent(before.position)}`
    const page = (await (await restored.request(url, { as: 'admin' })).json()) as {
      complete: boolean
      events: { type: string; data: { reason: string } }[]
    }
    assert.equal(page.complete, false)
    assert.equal(page.events[0]?.data.reason, 'epoch')
  } finally {
    end.abort()
    await rm(home, { recursive: true, force: true })
  }
})
