import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyPath, anyText, operate, operation } from '../files/disk-operations.ts'
import { sha256 } from '../support/gateway.ts'
import { digestsBelow, WatchedBroker } from '../support/watched-broker.ts'

const ROUNDS = process.env['SOAK'] === '1' ? 1000 : 20
const WRITERS = 4
const FILES_OF_A_WRITER = 5

/** Of one path that nobody else writes to: what is there, by digest, undefined for no file. */
interface Ledger {
  acknowledged: string | undefined
  /** What a request without an answer was to make of it. */
  open: { readonly digest: string | undefined } | undefined
}

/** One way of going on, with its own randomness, that can be told again by its number. */
function drawn<Value>(arbitrary: fc.Arbitrary<Value>, seed: number, count: number): Value[] {
  return fc.sample(arbitrary, { seed, numRuns: count })
}

class Writers {
  readonly #subject: WatchedBroker
  readonly #ledgers = new Map<string, Ledger>()
  answers = 0

  constructor(subject: WatchedBroker) {
    this.#subject = subject
  }

  /** Puts and deletes files of its own until the broker is gone. */
  async write(writer: number, round: number): Promise<void> {
    for (let turn = 0; ; turn += 1) {
      const path = `w${writer}/f${turn % FILES_OF_A_WRITER}`
      const ledger = this.#ledgers.get(path) ?? { acknowledged: undefined, open: undefined }
      this.#ledgers.set(path, ledger)
      const isDelete = turn % 3 === 2 && ledger.acknowledged !== undefined
      const size = turn % 7 === 0 ? 300_000 : 10 + turn
      const body = `${path} ${round} ${turn} ${'x'.repeat(size)}`
      ledger.open = { digest: isDelete ? undefined : sha256(body) }
      const status = await this.#ask(
        path,
        isDelete ? { method: 'DELETE' } : { method: 'PUT', body },
      )
      if (status === undefined) return
      assert.ok(status < 300, `${path}: ${status}`)
      ledger.acknowledged = ledger.open.digest
      ledger.open = undefined
    }
  }

  /** Asks for what is edited on disk at the same time, until the broker is gone. */
  async meddle(round: number): Promise<void> {
    const requests = fc.tuple(fc.constantFrom('PUT', 'PUT', 'DELETE'), anyPath, anyText)
    for (const [method, path, body] of drawn(requests, round, 500)) {
      const status = await this.#ask(path, method === 'PUT' ? { method, body } : { method })
      if (status === undefined) return
      // Somebody else's directory or link may be in the way.
      assert.ok(status < 500, `${method} ${path}: ${status}`)
    }
  }

  /** Nothing that was acknowledged is lost, and no file is there in part. */
  check(): void {
    const files = digestsBelow(this.#subject.root)
    for (const [path, ledger] of this.#ledgers) {
      const found = files.get(path)
      const isOpen = ledger.open !== undefined && found === ledger.open.digest
      if (!isOpen) assert.equal(found, ledger.acknowledged, path)
      ledger.acknowledged = found
      ledger.open = undefined
    }
  }

  async #ask(path: string, init: RequestInit): Promise<number | undefined> {
    try {
      const { status, body } = await this.#subject.request(`/files/${path}`, init)
      this.answers += 1
      await body?.cancel()
      return status
    } catch {
      return undefined
    }
  }
}

/** What the broker serves is what is on the disk, and it left nothing lying about. */
async function assertTidy(subject: WatchedBroker): Promise<void> {
  const listing = await subject.request('/files/?recursive', {
    headers: { accept: 'application/x-ndjson' },
  })
  const served = (await listing.text())
    .split('\n')
    .filter((line) => line.includes('"etag"'))
    .map((line): [string, string] => {
      const { name, etag } = JSON.parse(line)
      return [name, Buffer.from(etag.slice('"sha256-'.length, -1), 'base64url').toString('hex')]
    })
    .filter(([name]) => !name.startsWith('config/'))
  assert.deepEqual(new Map(served.toSorted()), new Map([...digestsBelow(subject.root)].toSorted()))
  const state = join(subject.broker.directory, 'data/state/volumes/default')
  assert.deepEqual(readdirSync(join(state, 'temp')), [])
}

test('whenever it is killed, no change is lost, halved, told twice or not at all', async () => {
  await using subject = await WatchedBroker.start()
  const { broker, root } = subject
  const writers = new Writers(subject)
  // What is written by one name of a file is no event of the other.
  const edits = operation.filter((run) => !String(run).startsWith('hard link'))
  for (let round = 0; round < ROUNDS; round += 1) {
    const busy = Array.from({ length: WRITERS }, (_, writer) => writers.write(writer, round))
    busy.push(writers.meddle(round))
    const goal = writers.answers + 5 + ((round * 37) % 80)
    const turns = drawn(edits, round, 200)
    // They end, for a fault of theirs, or never.
    const ended = Promise.all(busy)
    while (writers.answers < goal) {
      operate(root, turns.splice(0, 1))
      await Promise.race([ended, new Promise((resolve) => setImmediate(resolve))])
    }
    await broker.kill('SIGKILL')
    await ended
    writers.check()
    // While nobody looks, too; and what one start was at, the next one goes on with.
    operate(root, turns.splice(0, 3))
    await broker.restart()
    if (round % 4 === 3) {
      await broker.kill('SIGKILL')
      await broker.restart()
    }
    await subject.check(false)
    writers.check()
    await assertTidy(subject)
  }
})
