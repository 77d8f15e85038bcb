import type { BigIntStats } from 'node:fs'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { FilePath } from '../../protocol/file-path.ts'
import type { Place } from '../volumes/place.ts'
import type { KnownFile, OpenFile } from './file-store.ts'

/** Never follows a link, and never waits for the other end of a FIFO. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

const BLOCK_BYTES = 256 * 1024

/** Another file would be an error page of the front server. */
export function isWorldReadable({ mode }: BigIntStats): boolean {
  return (mode & 0o004n) !== 0n
}

/** An open regular file of a volume. */
export class OpenDiskFile implements OpenFile {
  readonly path: FilePath
  readonly size: number
  readonly modifiedMs: number
  readonly sha256: string | undefined
  readonly etag: string | undefined
  readonly #handle: FileHandle
  readonly #stats: BigIntStats
  readonly #link: () => Promise<string | undefined>

  constructor(
    known: KnownFile,
    handle: FileHandle,
    stats: BigIntStats,
    link: () => Promise<string | undefined>,
  ) {
    this.path = known.path
    this.size = known.size
    this.modifiedMs = known.modifiedMs
    this.sha256 = known.sha256
    this.etag = known.etag
    this.#handle = handle
    this.#stats = stats
    this.#link = link
  }

  async *read(first: number, end: number): AsyncGenerator<Uint8Array> {
    let position = first
    while (position < end) {
      const length = Math.min(BLOCK_BYTES, end - position)
      const block = Buffer.allocUnsafe(length)
      const { bytesRead } = await this.#handle.read(block, 0, length, position)
      if (bytesRead === 0) throw new Error('the file was cut while it was read')
      position += bytesRead
      // Before the last byte leaves: a reader that has all of them takes them for what was promised.
      if (position === end) await this.#requireUntouched()
      yield block.subarray(0, bytesRead)
    }
  }

  async serveLink(): Promise<string | undefined> {
    return this.etag === undefined || !isWorldReadable(this.#stats) ? undefined : this.#link()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }

  /** An edit in place moves `mtime`; a rename over the file, and a link to it, move only `ctime`. */
  async #requireUntouched(): Promise<void> {
    const { size, mtimeNs } = await this.#handle.stat({ bigint: true })
    if (size === this.#stats.size && mtimeNs === this.#stats.mtimeNs) return
    throw new Error('the file was edited while it was read')
  }
}

/** Opens what is at a place, whatever it is. @throws ENOENT; ELOOP for a link; ENXIO for a socket */
export async function openLeaf(place: Place): Promise<{ handle: FileHandle; stats: BigIntStats }> {
  const handle = await open(place.file, READ)
  try {
    return { handle, stats: await handle.stat({ bigint: true }) }
  } catch (error) {
    await handle.close()
    throw error
  }
}
