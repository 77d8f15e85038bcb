import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FileChange } from '../../src/files/file-change.ts'
import { ChangeFold } from '../files/change-fold.ts'
import { anyPath, anyText, operate, operation } from '../files/disk-operations.ts'
import { BrokerProcess } from '../support/broker-process.ts'

const IS_SOAK = process.env['SOAK'] === '1'
const ROUNDS = IS_SOAK ? 1000 : 60
const FLOOD = IS_SOAK ? 100_000 : 20_000

interface FileEvent {
  readonly type: FileChange['type']
  readonly data: Pick<FileChange, 'sha256'> & { readonly path: string }
}

/** A broker in a process of its own, its default volume, and a subscriber that comes after each barrier. */
class WatchedBroker implements AsyncDisposable {
  readonly broker: BrokerProcess
  readonly root: string
  readonly fold = new ChangeFold()
  readonly #token: string
  #position = 'earliest'

  private constructor(broker: BrokerProcess, token: string) {
    this.broker = broker
    this.root = join(broker.directory, 'data/files')
    this.#token = token
  }

  static async start(): Promise<WatchedBroker> {
    const broker = await BrokerProcess.start('--settle=10ms')
    return new WatchedBroker(broker, await broker.adminToken())
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.#token}`, ...init.headers }
    return fetch(`${this.broker.url}${path}`, { ...init, headers })
  }

  /** Does `work` while the process can see nothing of it. */
  stopped(work: () => void): void {
    process.kill(this.broker.pid, 'SIGSTOP')
    try {
      work()
    } finally {
      process.kill(this.broker.pid, 'SIGCONT')
    }
  }

  /**
   * After a barrier the changes since the last one fold to the disk.
   *
   * @param isExact - nobody could see what was there in between: each difference is told, once
   */
  async check(isExact: boolean): Promise<number> {
    const before = new Map(this.fold.files)
    const changes = await this.#told()
    this.fold.take(changes)
    const { files } = this.fold
    assert.deepEqual(
      new Map([...files].toSorted()),
      new Map([...digestsBelow(this.root)].toSorted()),
    )
    const differing = [...new Set([...before.keys(), ...files.keys()])].filter(
      (path) => before.get(path) !== files.get(path),
    )
    const paths = changes.map(({ path }) => path)
    if (isExact) assert.deepEqual(paths.toSorted(), differing.toSorted())
    assert.doesNotMatch(this.broker.log, /"level":50/)
    return changes.length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker[Symbol.asyncDispose]()
  }

  async #told() {
    const barrier = await this.request('/files/sync', { method: 'POST' })
    assert.equal(barrier.status, 200)
    const answer = (await barrier.json()) as { readonly position: string }
    const url = `/events/files/**?follow=false&since=${encodeURIComponent(this.#position)}`
    const stream = await this.request(url, { headers: { accept: 'application/x-ndjson' } })
    this.#position = answer.position
    const lines = (await stream.text()).split('\n').filter((line) => line.includes('"FILE '))
    return lines
      .map((line) => JSON.parse(line) as FileEvent)
      .map(({ type, data }) => ({ ...data, type }))
      .filter(({ path }) => !path.startsWith('config/'))
  }
}

function digestsBelow(root: string): Map<string, string> {
  const found = new Map<string, string>()
  const walk = (prefix: string) => {
    for (const entry of readdirSync(join(root, prefix), { withFileTypes: true })) {
      if (/^[.~]/.test(entry.name)) continue
      const path = `${prefix}${entry.name}`
      if (entry.isDirectory()) walk(`${path}/`)
      if (!entry.isFile()) continue
      found.set(
        path,
        createHash('sha256')
          .update(readFileSync(join(root, path)))
          .digest('hex'),
      )
    }
  }
  walk('')
  return found
}

const round = fc.record(
  {
    while: fc.constantFrom('running', 'stopped', 'asked over HTTP'),
    // What is written by one name of a file is no event of the other.
    operations: fc.array(
      operation.filter((run) => !String(run).startsWith('hard link')),
      { minLength: 1, maxLength: 12 },
    ),
    requests: fc.array(fc.tuple(fc.constantFrom('PUT', 'PUT', 'DELETE'), anyPath, anyText), {
      minLength: 1,
      maxLength: 8,
    }),
  },
  { noNullPrototype: true },
)

test('what is done on disk and over HTTP, the broker stopped or not, folds to the disk', async () => {
  await using subject = await WatchedBroker.start()
  const { root } = subject
  await fc.assert(
    fc.asyncProperty(round, async ({ while: how, operations, requests }) => {
      if (how === 'stopped') subject.stopped(() => operate(root, operations))
      else {
        const asked = (how === 'running' ? [] : requests).map(async ([method, path, body]) => {
          const init = method === 'PUT' ? { method, body } : { method }
          const { status } = await subject.request(`/files/${path}`, init)
          // Somebody else's directory or link may be in the way.
          assert.ok(status < 500, `${method} ${path}: ${status}`)
        })
        for (const run of operations) {
          operate(root, [run])
          if (how !== 'running') await new Promise((resolve) => setImmediate(resolve))
        }
        await Promise.all(asked)
      }
      await subject.check(how === 'stopped')
    }),
    // Each round goes on from the last: a smaller one would not be the same.
    { numRuns: ROUNDS, endOnFailure: true },
  )
})

test('a flood while the broker is stopped is told whole, each file once', async () => {
  await using subject = await WatchedBroker.start()
  const { root } = subject
  for (let d = 0; d < 20; d += 1) {
    mkdirSync(join(root, `d${d}`))
    writeFileSync(join(root, `d${d}`, 'old'), `${d}`)
  }
  assert.equal(await subject.check(true), 20)
  subject.stopped(() => {
    for (let i = 0; i < FLOOD; i += 1) writeFileSync(join(root, `d${i % 20}`, `f${i}`), `${i}`)
    rmSync(join(root, 'd0'), { recursive: true })
    renameSync(join(root, 'd1'), join(root, 'moved'))
    mkdirSync(join(root, 'late/deep'), { recursive: true })
    writeFileSync(join(root, 'late/deep/f'), 'x')
  })
  // The file of `d0` is gone, that of `d1` went and came, and what is left of the flood is new.
  assert.equal(await subject.check(true), FLOOD - FLOOD / 20 + 1 + 1 + 2)
  writeFileSync(join(root, 'late/deep/g'), 'x')
  writeFileSync(join(root, 'moved/g'), 'x')
  assert.equal(await subject.check(true), 2)
})
