import { createHash, type Hash } from 'node:crypto'

/** The last entry of a backup: that it is there says that the backup is whole. */
export const MANIFEST = 'manifest.json'

export const BACKUP_FORMAT = 1

/** Where things are in a backup; files of the default volume are below `files/`. */
export const DATABASE_ENTRY = 'state/broker.db'
export const USERS_ENTRY = 'broker_users.xml'
export const FILES_PREFIX = 'files/'

/** What else is kept of `<data>`, by its name there and in the backup. */
export const STATE_ENTRIES = [
  'state/ticket.key',
  'state/curve.key',
  'state/last-uses.json',
  'state/users.last-good.xml',
  'state/volumes/default/volume-id',
  'state/volumes/default/indexed',
] as const

/** What a backup is. */
export interface BackupSummary {
  readonly format: number
  /** Of the copy of the database, ISO 8601. */
  readonly time: string
  /** Of the broker. */
  readonly version: string
  readonly hasFiles: boolean
}

export interface BackupManifest extends BackupSummary {
  /** Lower-case hex; of all entries before this one, and of the summary. */
  readonly sha256: string
}

/** One digest for everything: it takes as much memory for a million files as for one. */
export class BackupDigest {
  readonly #hash: Hash = createHash('sha256')

  async *entry(
    { name, size }: { readonly name: string; readonly size: number },
    content: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    this.#hash.update(`${JSON.stringify([name, size])}\n`)
    for await (const block of content) {
      this.#hash.update(block)
      yield block
    }
  }

  /** The last call. */
  end({ format, time, version, hasFiles }: BackupSummary): string {
    return this.#hash.update(JSON.stringify([format, time, version, hasFiles])).digest('hex')
  }
}
