import { createHash } from 'node:crypto'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { ContentValidator } from '../content-validator.ts'
import type { FileChange } from '../file-change.ts'
import { verifyDigests } from '../http/digest-fields.ts'
import { FINDABLE_BYTES, type TellChanges } from '../index/file-index.ts'
import { comparePaths } from '../path-order.ts'
import { digestsOf } from '../uploads/content-hasher.ts'
import { validateContent } from '../uploads/validate-content.ts'
import { isHiddenName, notServed } from '../volumes/volume.ts'
import { entityTagOf } from './entity-tag.ts'
import type {
  CommittedFile,
  DeletedFile,
  DeleteGuard,
  FileStore,
  KnownFile,
  ListedEntry,
  ListOptions,
  OpenFile,
  StagedFile,
  StageOptions,
  Upload,
} from './file-store.ts'

interface MemoryFile {
  readonly bytes: Buffer
  readonly sha256: string
  readonly modifiedMs: number
}

export interface MemoryFileStoreOptions {
  readonly maxFileBytes?: number
  readonly validators?: readonly ContentValidator[]
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** Forgets everything with the process: for tests and for brokers that keep nothing. */
export class MemoryFileStore implements FileStore {
  readonly #tell: TellChanges<never>
  readonly #options: MemoryFileStoreOptions
  readonly #files = new Map<FilePath, MemoryFile>()
  readonly #staged = new WeakMap<StagedFile, Buffer>()
  /** One writer at a time. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(tell: TellChanges<never>, options: MemoryFileStoreOptions = {}) {
    this.#tell = tell
    this.#options = options
  }

  find(path: FilePath): Promise<KnownFile | undefined> {
    return Promise.resolve(this.#known(path))
  }

  open(path: FilePath): Promise<OpenFile | undefined> {
    const known = this.#known(path)
    const bytes = this.#files.get(path)?.bytes
    if (known === undefined || bytes === undefined) return Promise.resolve(undefined)
    return Promise.resolve({
      ...known,
      read: async function* (first: number, end: number) {
        yield bytes.subarray(first, end)
      },
      serveLink: () => Promise.resolve(undefined),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  }

  admit(): Promise<void> {
    return Promise.resolve()
  }

  async stage(
    path: FilePath,
    content: AsyncIterable<Uint8Array>,
    options: StageOptions,
  ): Promise<StagedFile> {
    if (path.split('/').some(isHiddenName)) throw notServed()
    const bytes = await this.#receive(content)
    verifyDigests(options.digests, digestsOf(bytes, ['sha-256', 'sha-512']))
    const staged: StagedFile = {
      path,
      size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
    const received = { file: undefined, bytes: () => Promise.resolve(bytes) }
    const validators = this.#options.validators ?? []
    await validateContent(validators, staged, received, options.confirmShrink)
    this.#staged.set(staged, bytes)
    return staged
  }

  async stageKnown(
    path: FilePath,
    sha256: string,
    mayRead: (path: FilePath) => boolean,
    options: Omit<StageOptions, 'digests'>,
  ): Promise<StagedFile | undefined> {
    for (const [source, { bytes, sha256: digest }] of this.#files) {
      if (digest !== sha256 || bytes.length < FINDABLE_BYTES || !mayRead(source)) continue
      const content = (async function* () {
        yield bytes
      })()
      return await this.stage(path, content, { ...options, digests: [] })
    }
    return undefined
  }

  commit(uploads: readonly Upload[]): Promise<readonly CommittedFile[]> {
    return this.#alone(async () => {
      for (const { staged, guard } of uploads) {
        this.#requireRoom(staged.path)
        guard(this.#known(staged.path), staged)
      }
      const now = this.#now()
      const changing = uploads.filter(({ staged }) => !this.#isSame(staged))
      const changes = changing.map(({ staged }) => this.#change(staged, now))
      const positions = changes.length === 0 ? [] : await this.#tell(changes, [])
      const positionOf = new Map(changing.map(({ staged }, i) => [staged, positions[i]]))
      return uploads.map(({ staged }) => this.#store(staged, now, positionOf.get(staged)))
    })
  }

  delete(path: FilePath, guard: DeleteGuard): Promise<DeletedFile | undefined> {
    return this.#alone(async () => {
      const [known, file] = [this.#known(path), this.#files.get(path)]
      if (known === undefined || file === undefined) return undefined
      guard(known, true)
      const change = changeOf('FILE DELETED', path, file.bytes.length, file)
      const [position] = await this.#tell([change], [])
      this.#files.delete(path)
      return { path, position }
    })
  }

  list(
    directory: FilePath | '',
    options: ListOptions,
  ): Promise<AsyncIterable<ListedEntry> | undefined> {
    const prefix = directory === '' ? '' : `${directory}/`
    const below = [...this.#files.keys()].filter((path) => path.startsWith(prefix))
    if (below.length === 0 && directory !== '') return Promise.resolve(undefined)
    const entries = new Map<string, ListedEntry>()
    for (const path of below) {
      const entry = this.#entry(path, prefix, options)
      if (entry !== undefined && comparePaths(entry.name, options.after) > 0) {
        entries.set(entry.name, entry)
      }
    }
    const sorted = [...entries.values()].sort((a, b) => comparePaths(a.name, b.name))
    return Promise.resolve(
      (async function* () {
        yield* sorted
      })(),
    )
  }

  prune(): Promise<void> {
    return Promise.resolve()
  }

  async #receive(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
    const { maxFileBytes = Number.POSITIVE_INFINITY } = this.#options
    const chunks: Uint8Array[] = []
    let size = 0
    try {
      for await (const chunk of content) {
        size += chunk.byteLength
        if (size > maxFileBytes) {
          throw new BrokerError('TOO_LARGE', `a file may have ${maxFileBytes} bytes`)
        }
        // A copy: whoever sent the chunk may fill its memory again.
        chunks.push(Uint8Array.from(chunk))
      }
    } catch (cause) {
      if (cause instanceof BrokerError) throw cause
      throw new BrokerError('BODY_INCOMPLETE', 'the connection ended before the body', { cause })
    }
    return Buffer.concat(chunks, size)
  }

  #store(staged: StagedFile, now: number, position: string | undefined): CommittedFile {
    const { path, size, sha256 } = staged
    const former = this.#files.get(path)
    const isSame = former?.sha256 === sha256
    const modifiedMs = isSame ? former.modifiedMs : now
    const bytes = this.#staged.get(staged)
    if (bytes === undefined) throw new Error('the file was staged elsewhere')
    if (!isSame) this.#files.set(path, { bytes, sha256, modifiedMs })
    const etag = entityTagOf(sha256)
    return { path, size, sha256, etag, modifiedMs, created: former === undefined, position }
  }

  /** @throws {BrokerError} `PATH_CONFLICT`: names are files or directories here as on a disk */
  #requireRoom(path: FilePath): void {
    for (const other of this.#files.keys()) {
      if (other.startsWith(`${path}/`) || path.startsWith(`${other}/`)) {
        throw new BrokerError('PATH_CONFLICT', 'a directory or a file is in the way')
      }
    }
  }

  #known(path: FilePath): KnownFile | undefined {
    const file = this.#files.get(path)
    if (file === undefined) return undefined
    const { bytes, sha256, modifiedMs } = file
    return { path, size: bytes.length, modifiedMs, sha256, etag: entityTagOf(sha256) }
  }

  #entry(path: FilePath, prefix: string, options: ListOptions): ListedEntry | undefined {
    const [first = '', ...rest] = path.slice(prefix.length).split('/')
    if (rest.length > 0 && !options.recursive) {
      if (!options.showsDirectory((prefix + first) as FilePath)) return undefined
      const none = { size: undefined, modifiedMs: undefined, etag: undefined }
      return { name: first, type: 'directory', ...none }
    }
    const known = options.showsFile(path) ? this.#known(path) : undefined
    if (known === undefined) return undefined
    const { size, modifiedMs, etag } = known
    return { name: path.slice(prefix.length), type: 'file', size, modifiedMs, etag }
  }

  #isSame({ path, sha256 }: StagedFile): boolean {
    return this.#files.get(path)?.sha256 === sha256
  }

  #change({ path, size, sha256 }: StagedFile, modifiedMs: number): FileChange {
    const type = this.#files.has(path) ? 'FILE UPDATED' : 'FILE CREATED'
    return changeOf(type, path, size, { sha256, modifiedMs })
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }

  #alone<Value>(work: () => Promise<Value>): Promise<Value> {
    const turn = this.#last.then(work, work)
    this.#last = turn
    return turn
  }
}

function changeOf(
  type: FileChange['type'],
  path: FilePath,
  size: number,
  { sha256, modifiedMs }: Pick<MemoryFile, 'sha256' | 'modifiedMs'>,
): FileChange {
  const modified = new Date(modifiedMs).toISOString()
  return { type, path, size, sha256, etag: entityTagOf(sha256), modified, origin: 'upload' }
}
