import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { restoreOver } from '../support/restore-over.ts'

test('former contents and unfinished uploads are not in a backup, and forgotten by who restores it', async () => {
  const home = await mkdtemp(join(tmpdir(), 'backup-'))
  try {
    const filePolicy = join(home, 'files.json')
    await writeFile(filePolicy, '{"rules":[{"paths":"**","versions":{}}]}')
    await using broker = await startGateway({ filePolicy })
    for (const body of ['one', 'two']) {
      await broker.request('/files/a', { method: 'PUT', body, as: 'admin' })
    }
    const headers = {
      'tus-resumable': '1.0.0',
      'upload-length': '3',
      'upload-metadata': `path ${Buffer.from('b').toString('base64')}`,
    }
    const created = await broker.request('/uploads', { method: 'POST', headers, as: 'admin' })
    assert.equal(created.status, 201)
    const upload = new URL(created.headers.get('location') ?? '', broker.url).pathname
    const archive = join(home, 'backup.tar')
    const backup = await broker.request('/backup?files', { as: 'admin' })
    await writeFile(archive, new Uint8Array(await backup.arrayBuffer()))
    await restoreOver(broker, archive)
    await using restored = await broker.restart()
    const versions = await restored.request('/files/a?versions', { as: 'admin' })
    assert.deepEqual(await versions.json(), { path: 'a', versions: [] })
    const head = await restored.request(upload, { method: 'HEAD', headers, as: 'admin' })
    assert.equal(head.status, 404)
    assert.equal(await (await restored.request('/files/a', { as: 'admin' })).text(), 'two')
    const put = await restored.request('/files/a', { method: 'PUT', body: 'three', as: 'admin' })
    assert.equal(put.status, 200)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})
