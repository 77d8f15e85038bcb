import { type ContentHasher, digestsOf } from '../uploads/content-hasher.ts'
import { SMALL_BYTES } from '../uploads/receive-content.ts'
import type { OpenFile } from './file-store.ts'

/** A larger content would be read for longer than its sender waits: a tenth of a second of one core. */
const MAX_BYTES = 64 * 1024 * 1024

/** About 2 MB. */
const MAX_KNOWN = 4096

const ALGORITHM = 'sha-512'

/** SHA-512 of contents, which nobody stores: computed when it is asked for, and remembered. */
export class StrongDigests {
  readonly #hasher: ContentHasher
  /** By SHA-256, the one asked for last at the end. */
  readonly #known = new Map<string, Promise<string | undefined>>()

  constructor(hasher: ContentHasher) {
    this.#hasher = hasher
  }

  /** @returns lower-case hex; undefined for a content that is too large, or was edited meanwhile */
  async of(file: OpenFile): Promise<string | undefined> {
    const { sha256, size } = file
    if (sha256 === undefined || size > MAX_BYTES) return undefined
    const known = this.#known.get(sha256) ?? this.#compute(file)
    this.#remember(sha256, known)
    const digest = await known.catch(() => undefined)
    if (digest === undefined) this.#known.delete(sha256)
    return digest
  }

  #remember(sha256: string, digest: Promise<string | undefined>): void {
    this.#known.delete(sha256)
    this.#known.set(sha256, digest)
    const [oldest] = this.#known.keys()
    if (oldest !== undefined && this.#known.size > MAX_KNOWN) this.#known.delete(oldest)
  }

  async #compute(file: OpenFile): Promise<string | undefined> {
    if (file.size <= SMALL_BYTES) {
      const parts: Uint8Array[] = []
      for await (const part of file.read(0, file.size)) parts.push(part)
      return digestsOf(Buffer.concat(parts), [ALGORITHM])[ALGORITHM]
    }
    const session = this.#hasher.begin([ALGORITHM])
    try {
      for await (const block of file.read(0, file.size)) {
        // A copy of its own, since it is handed over.
        await session.update(new Uint8Array(block).buffer, block.length)
      }
      return (await session.digests())[ALGORITHM]
    } finally {
      session.discard()
    }
  }
}
