import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Database } from '../../src/database/database.ts'
import { Delivery } from '../../src/events/delivery/delivery.ts'
import type { EventDraft, EventLog } from '../../src/events/log/event-log.ts'
import { MemoryEventLog } from '../../src/events/log/memory-event-log.ts'
import { SqliteEventLog } from '../../src/events/log/sqlite-event-log.ts'
import { storeEvent } from '../../src/events/log/stored-event.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { draft } from '../support/events.ts'
import { Ledger } from './recovery-ledger.ts'

/** A log with its delivery that can be restarted, and a ledger of all that it committed. */
export class ModelBroker implements AsyncDisposable {
  readonly ledger: Ledger
  readonly #path: string | undefined
  readonly #budget: number
  readonly #identities = new Map<string, number>()
  #database: Database | undefined
  #log: EventLog | undefined
  #delivery: Delivery | undefined
  #appends: Promise<readonly { readonly draft: EventDraft; readonly offset: number }[]>[] = []
  #starts = 0
  #lastData = 0

  private constructor(path: string | undefined, budget: number) {
    this.#path = path
    this.#budget = budget
    this.ledger = new Ledger(budget)
  }

  static async open(kind: 'memory' | 'sqlite', budget: number): Promise<ModelBroker> {
    const directory = kind === 'sqlite' ? await mkdtemp(join(tmpdir(), 'broker-')) : undefined
    const broker = new ModelBroker(directory, budget)
    await broker.#open()
    return broker
  }

  get services(): { readonly log: EventLog; readonly delivery: Delivery } {
    assert.ok(this.#log !== undefined && this.#delivery !== undefined)
    return { log: this.#log, delivery: this.#delivery }
  }

  /** Publishes one event on each of `topics` in one batch, without waiting. */
  publish(topics: readonly string[], identity?: string, padding = ''): void {
    const { log } = this.services
    const drafts = topics.map((topic, i) => {
      this.#lastData += 1
      const data = `${this.#lastData}${padding}`
      const id = identity === undefined ? undefined : `${log.epoch}/${identity}/${i}`
      return draft(topic, data, id === undefined ? {} : { identity: id })
    })
    this.#appends.push(this.#append(log, drafts))
  }

  /** Resolves when what was published is committed. */
  async committed(): Promise<void> {
    const appends = this.#appends
    this.#appends = []
    const acked = (await Promise.all(appends)).flat().toSorted((a, b) => a.offset - b.offset)
    const { log } = this.services
    for (const { draft, offset } of acked) {
      const known = this.ledger.at(`${log.epoch}:${offset}`)
      // A commit that ends after its log was closed is told to nobody, and holds all the same.
      if (known === undefined) {
        assert.equal(this.#log, log)
        this.ledger.add(storeEvent(log.epoch, offset, draft.topic, draft.json))
      } else assert.equal(known.topic, draft.topic)
    }
  }

  async restart(): Promise<void> {
    await this.#close()
    await this.committed()
    await this.#open()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
    await Promise.all(this.#appends)
    if (this.#path !== undefined) await rm(this.#path, { recursive: true })
  }

  async #open(): Promise<void> {
    this.#starts += 1
    const epoch = `e${this.#starts}`
    const budget = { events: this.#budget, bytes: Infinity, ageMs: Infinity }
    const now = () => 1000
    if (this.#path === undefined) this.#log = new MemoryEventLog({ budget, epoch, now })
    else {
      this.#database = await Database.open(join(this.#path, 'broker.db'))
      const database = this.#database
      this.#log = await SqliteEventLog.open({ database, budget, newEpoch: epoch, now })
    }
    const head = this.ledger.moment().head
    if (this.#path !== undefined) assert.equal(this.#log.head, head)
    this.ledger.open(this.#log.epoch)
    this.#log.onCommit((events) => {
      for (const event of events) this.ledger.add(event)
    })
    this.#delivery = new Delivery(this.#log)
  }

  async #close(): Promise<void> {
    this.#delivery?.[Symbol.dispose]()
    await this.#log?.close()
    await this.#database?.close()
  }

  async #append(log: EventLog, drafts: readonly EventDraft[]) {
    try {
      const acks = await log.append(drafts)
      return acks.map(({ offset, duplicate }, i) => {
        const draft = drafts[i] as EventDraft
        if (draft.identity !== undefined) {
          const first = this.#identities.get(draft.identity)
          if (duplicate) assert.equal(offset, first, 'a duplicate has the position of the first')
          else {
            assert.equal(first, undefined, 'a repeat is stored again')
            this.#identities.set(draft.identity, offset)
          }
        }
        return { draft, offset }
      })
    } catch (error) {
      assert.ok(error instanceof BrokerError && error.code === 'EVENT_CONFLICT', String(error))
      return []
    }
  }
}
