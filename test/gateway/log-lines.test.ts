import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { pino } from 'pino'
import { startGateway } from '../support/gateway.ts'

class Lines {
  readonly stream = new PassThrough({ encoding: 'utf8' })
  #text = ''

  constructor() {
    this.stream.on('data', (text: string) => {
      this.#text += text
    })
  }

  /** Waits for a line that matches, and forgets all up to its end. */
  async next(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.#text.split('\n').find((line) => pattern.test(line))
      if (found !== undefined) {
        this.#text = this.#text.slice(this.#text.indexOf(found) + found.length)
        return found
      }
      await once(this.stream, 'data')
    }
  }
}

test('a page of a foreign origin is logged with its origin, of which not more than names it', async () => {
  const lines = new Lines()
  await using broker = await startGateway({}, undefined, pino(lines.stream))
  const origin = `https://dash.example/${'x'.repeat(1000)}`
  const refused = await broker.request('/auth/me', { headers: { origin } })
  assert.equal(refused.status, 403)
  const line = JSON.parse(await lines.next(/ORIGIN_FORBIDDEN/)) as Record<string, unknown>
  assert.equal(line['origin'], origin.slice(0, 300))
  const headers = { origin, authorization: 'Bearer none' }
  await broker.request('/auth/me', { headers })
  assert.ok(!(await lines.next(/auth\.refused.*CREDENTIAL_INVALID/)).includes('"origin"'))
})

test('a users file that was broken or gone and is right again is told, and what holds meanwhile', async () => {
  const lines = new Lines()
  await using broker = await startGateway({ settle: '10ms' }, undefined, pino(lines.stream))
  const path = join(broker.directory, 'config/broker_users.xml')
  const good = await readFile(path)
  await writeFile(path, '<broker-users')
  await lines.next(/files\.rejected.*content on disk was refused; the last good one is in force/)
  await writeFile(path, good)
  await lines.next(/files\.accepted.*broker_users\.xml/)
  await rm(path)
  const sync = () => broker.request('/files/sync', { method: 'POST', as: 'admin' })
  assert.equal((await sync()).status, 200)
  await writeFile(path, good)
  await lines.next(/auth\.users\.accepted/)
})
