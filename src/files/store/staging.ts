import { randomUUID } from 'node:crypto'
import type { FilePath } from '../../protocol/file-path.ts'
import type { ContentValidator } from '../content-validator.ts'
import { acceptContent, algorithmsFor } from '../uploads/accept-content.ts'
import type { ContentHasher } from '../uploads/content-hasher.ts'
import { type Expected, PartialFile } from '../uploads/partial-file.ts'
import { type Received, receiveContent } from '../uploads/receive-content.ts'
import { TemporaryFile } from '../uploads/temporary-file.ts'
import type { UploadLimits } from '../uploads/upload-limits.ts'
import type { Volume } from '../volumes/volume.ts'
import type { StageOptions } from './file-store.ts'
import type { OpenDiskFile } from './open-disk-file.ts'
import { storageFault } from './storage-fault.ts'

export interface StagingDeps {
  readonly hasher: ContentHasher
  readonly validators: readonly ContentValidator[]
  readonly limits: UploadLimits
  readonly maxFileBytes: number
}

/** How contents come into temporary files: as one body, from another file, or in parts. */
export class Staging {
  readonly #deps: StagingDeps

  constructor(deps: StagingDeps) {
    this.#deps = deps
  }

  receive(
    volume: Volume,
    path: FilePath,
    content: AsyncIterable<Uint8Array>,
    options: StageOptions,
  ): Promise<TemporaryFile> {
    const { hasher, limits, maxFileBytes } = this.#deps
    return this.#stage(volume, path, options, (temporary, take) =>
      receiveContent(limits.steady(content), temporary.handle, {
        hasher,
        algorithms: algorithmsFor(options.digests),
        maxBytes: maxFileBytes,
        take,
      }),
    )
  }

  /** @throws what is no `BrokerError` when the source was edited meanwhile */
  copy(
    volume: Volume,
    path: FilePath,
    source: OpenDiskFile,
    options: Omit<StageOptions, 'digests'>,
  ): Promise<TemporaryFile> {
    const { size, sha256 } = source
    const copied = { ...options, digests: [], size }
    return this.#stage(volume, path, copied, async (temporary, take) => {
      await take(size)
      await temporary.handle.writeFile(source.read(0, size))
      return { size, digests: { ...(sha256 !== undefined && { 'sha-256': sha256 }) } }
    })
  }

  partial(volume: Volume, expected: Expected): PartialFile {
    return new PartialFile(expected, { ...this.#deps, volume })
  }

  /** @param fill - writes the content, asking for room, and tells it */
  async #stage(
    volume: Volume,
    path: FilePath,
    options: StageOptions,
    fill: (temporary: TemporaryFile, take: (bytes: number) => Promise<void>) => Promise<Received>,
  ): Promise<TemporaryFile> {
    const { limits, validators } = this.#deps
    await using cleanup = new AsyncDisposableStack()
    try {
      const { uploader = '', size = 0 } = options
      using reception = await limits.receive(volume, size)
      const share = cleanup.use(await limits.hold(volume, { path, uploader, size }))
      const directory = await volume.temporaryDirectory()
      const temporary = cleanup.use(await TemporaryFile.create(randomUUID(), path, directory))
      temporary.share = share
      const received = await fill(temporary, async (bytes) => {
        share.take(bytes)
        await reception.take(bytes)
      })
      // Others may come while it is judged.
      reception[Symbol.dispose]()
      await acceptContent(temporary, received, options, validators)
      cleanup.move()
      return temporary
    } catch (error) {
      throw storageFault(error)
    }
  }
}
