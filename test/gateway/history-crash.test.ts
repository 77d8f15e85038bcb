import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DeletedEntry, VersionList } from '../../src/files/http/versions.ts'
import { BrokerProcess } from '../support/broker-process.ts'
import { FilePolicyText } from '../support/file-policy.ts'
import { sha256 } from '../support/gateway.ts'

const ROUNDS = process.env['SOAK'] === '1' ? 100 : 5
const WRITERS = 4

/** Everything that was sent for a path, and what of it was acknowledged. */
class Ledger {
  readonly sent = new Set<string>()
  readonly stored = new Set<string>()
}

class Client {
  readonly #broker: BrokerProcess
  readonly #token: string

  constructor(broker: BrokerProcess, token: string) {
    this.#broker = broker
    this.#token = token
  }

  /** @returns undefined when the broker is gone */
  async ask(method: string, target: string, body?: string): Promise<Response | undefined> {
    const headers = { authorization: `Bearer ${this.#token}` }
    try {
      const init = { method, headers, ...(body !== undefined && { body }) }
      const response = await fetch(`${this.#broker.url}${target}`, init)
      // Read here: an answer that broke off is none.
      return new Response(response.status === 204 ? null : await response.arrayBuffer(), response)
    } catch {
      return undefined
    }
  }

  async json<Answer>(target: string): Promise<Answer> {
    const response = await this.ask('GET', target)
    assert.equal(response?.status, 200, target)
    return (await response.json()) as Answer
  }
}

/** Puts, deletes and restores until the broker is gone. */
async function write(client: Client, path: string, ledger: Ledger): Promise<number> {
  for (let turn = 0; ; turn += 1) {
    const content = `${path} ${turn} ${'x'.repeat((turn % 3) * 100)}`
    ledger.sent.add(content)
    const put = await client.ask('PUT', `/files/${path}`, content)
    if (put === undefined) return turn
    assert.ok(put.ok, `${put.status}`)
    ledger.stored.add(content)
    if (turn % 3 === 1) {
      if ((await client.ask('DELETE', `/files/${path}`)) === undefined) return turn
    }
    if (turn % 4 !== 3) continue
    const listed = await client.ask('GET', `/files/${path}?versions`)
    if (listed === undefined) return turn
    const { versions } = (await listed.json()) as VersionList
    const { version } = versions[turn % versions.length] ?? {}
    const restored = await client.ask('POST', `/files/${path}?restore=${version}`)
    if (restored === undefined) return turn
    assert.ok(restored.ok, `${restored.status}`)
  }
}

/** Every content that was stored is somewhere, exactly once, and nothing lies about. */
async function assertWhole(broker: BrokerProcess, client: Client, ledgers: Map<string, Ledger>) {
  for (const [path, { sent, stored }] of ledgers) {
    const { versions } = await client.json<VersionList>(`/files/${path}?versions`)
    const found: string[] = []
    for (const { version, etag } of versions) {
      const got = await client.ask('GET', `/files/${path}?version=${version}`)
      const content = (await got?.text()) ?? ''
      assert.equal(got?.headers.get('etag'), etag)
      const digest = Buffer.from(sha256(content), 'hex').toString('base64url')
      assert.equal(etag, `"sha256-${digest}"`)
      found.push(content)
    }
    const present = await client.ask('GET', `/files/${path}`)
    if (present?.status === 200) found.push(await present.text())
    assert.equal(new Set(found).size, found.length, 'a content is there twice')
    for (const content of stored) assert.ok(found.includes(content), `lost: ${content}`)
    for (const content of found) assert.ok(sent.has(content))
    // What was on its way and arrived counts from now on.
    for (const content of found) stored.add(content)
    const deleted = await client.json<{ entries: DeletedEntry[] }>('/files/?deleted')
    const isListed = deleted.entries.some(({ name }) => name === path)
    assert.equal(isListed, present?.status === 404)
  }
  const state = join(broker.directory, 'data/state/volumes/default')
  const metrics = await (await client.ask('GET', '/metrics'))?.text()
  const [, count] = /^databroker_file_versions (\d+)$/m.exec(metrics ?? '') ?? []
  assert.equal((await readdir(join(state, 'versions'))).length, Number(count))
  assert.deepEqual(await readdir(join(state, 'temp')), [])
}

/** What the events tell is what is on the disk, and each of them was a change. */
async function assertTold(broker: BrokerProcess, client: Client): Promise<void> {
  const told = new Map<string, string>()
  for (let since = 'earliest'; ; ) {
    const page = await client.json<{
      position: string
      more: boolean
      events: { type: string; subject: string; data: { sha256: string } }[]
    }>(`/events/files/**?limit=1000&since=${encodeURIComponent(since)}`)
    for (const { type, subject, data } of page.events) {
      assert.equal(type === 'FILE CREATED', !told.has(subject), `${type} ${subject}`)
      if (type === 'FILE DELETED') told.delete(subject)
      else told.set(subject, data.sha256)
    }
    since = page.position
    if (!page.more) break
  }
  const files = join(broker.directory, 'data/files')
  for (const name of (await readdir(files)).filter((one) => !one.startsWith('.'))) {
    assert.equal(told.get(name), sha256(await readFile(join(files, name), 'utf8')), name)
    told.delete(name)
  }
  told.delete('config/broker_users.xml')
  assert.deepEqual([...told], [])
}

test('a broker that is killed over and over loses no version and leaves none behind', async () => {
  await using policy = await FilePolicyText.write({ paths: '**', versions: {}, undelete: '1h' })
  await using broker = await BrokerProcess.start(`--file-policy=${policy.file}`)
  const client = new Client(broker, await broker.adminToken())
  let ledgers = new Map<string, Ledger>()
  for (let round = 0; round < ROUNDS; round += 1) {
    // What a round has written is looked at after the next kill too, which is not about it.
    const former = ledgers
    const names = Array.from({ length: WRITERS }, (_, i) => `round-${round}-writer-${i}`)
    ledgers = new Map(names.map((name) => [name, new Ledger()]))
    const writers = [...ledgers].map(([path, ledger]) => write(client, path, ledger))
    const enough = [...ledgers.values()][round % WRITERS]
    const goal = 3 + ((round * 7) % 23)
    while ((enough?.stored.size ?? 0) < goal) await client.ask('GET', '/livez')
    await broker.kill('SIGKILL')
    await Promise.all(writers)
    await broker.restart()
    await assertWhole(broker, client, new Map([...former, ...ledgers]))
    await assertTold(broker, client)
  }
})
