import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '../database/database.ts'
import type { ServedGroup } from '../database/groups-in-flight.ts'

/** Commits that fail for want of space or because the disk is broken; a bad statement is none of them. */
const STORAGE_FAILURE = /full|disk i\/o|readonly|unable to open/i

/** A header field of the database of which the broker makes no use: writing it is a commit of one page. */
const PROBE = { sql: 'PRAGMA user_version = 0', rows: [[]] }

/** Whether the log can be written, as of the last commit; asked anew while it could not. */
export class StorageHealth {
  readonly #log: Pick<FastifyBaseLogger, 'error' | 'info'>
  #failure: string | undefined
  #probing: Promise<void> | undefined

  constructor(log: Pick<FastifyBaseLogger, 'error' | 'info'>) {
    this.#log = log
  }

  observe({ failure }: ServedGroup): void {
    if (failure === undefined || !STORAGE_FAILURE.test(failure)) return
    if (this.#failure === undefined) {
      this.#log.error({ event: 'log.failed', failure }, 'the event log cannot be written')
    }
    this.#failure = failure
  }

  /** @returns what SQLite says when nothing can be written */
  async check(database: Database): Promise<string | undefined> {
    if (this.#failure === undefined) return undefined
    this.#probing ??= this.#probe(database).finally(() => {
      this.#probing = undefined
    })
    await this.#probing
    return this.#failure
  }

  async #probe(database: Database): Promise<void> {
    this.#failure = await database.commit([PROBE]).then(
      () => undefined,
      (error: Error) => error.message,
    )
    if (this.#failure === undefined) {
      this.#log.info({ event: 'log.recovered' }, 'the event log can be written again')
    }
  }
}
