import assert from 'node:assert/strict'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { sha256, startGateway } from '../support/gateway.ts'

test('an edit right after an upload is visible is found, and not taken for what was uploaded', async () => {
  await using broker = await startGateway({ settle: '10ms' })
  const root = join(broker.directory, 'data/files')
  for (let i = 0; i < 60; i += 1) {
    const path = `file-${i}`
    const upload = broker.request(`/files/${path}`, { method: 'PUT', body: 'x', as: 'admin' })
    while (!existsSync(join(root, path))) await nextTurn()
    appendFileSync(join(root, path), 'y')
    assert.equal((await upload).status, 201)
  }
  await broker.request('/files/sync', { method: 'POST', as: 'admin' })
  for (let i = 0; i < 60; i += 1) {
    const { headers } = await broker.request(`/files/file-${i}`, { method: 'HEAD', as: 'admin' })
    const content = readFileSync(join(root, `file-${i}`), 'utf8')
    const digest = Buffer.from(sha256(content), 'hex').toString('base64url')
    assert.equal(headers.get('etag'), `"sha256-${digest}"`, `file-${i}`)
  }
})
