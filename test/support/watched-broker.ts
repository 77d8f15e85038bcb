import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FileChange } from '../../src/files/file-change.ts'
import { ChangeFold } from '../files/change-fold.ts'
import { BrokerProcess } from './broker-process.ts'

interface FileEvent {
  readonly type: FileChange['type']
  readonly data: Pick<FileChange, 'sha256'> & { readonly path: string }
}

/** A broker in a process of its own, its default volume, and a subscriber that comes after each barrier. */
export class WatchedBroker implements AsyncDisposable {
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
    const errors = this.broker.log.split('\n').filter((line) => line.includes('"level":50'))
    assert.deepEqual(errors, [])
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

/** The digest of each file that is served, by its path; lower-case hex. */
export function digestsBelow(root: string): Map<string, string> {
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
