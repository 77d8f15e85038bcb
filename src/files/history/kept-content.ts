import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { FilePath } from '../../protocol/file-path.ts'
import { fingerprintOf, sameContent } from '../fingerprint.ts'
import { isMissing } from '../store/storage-fault.ts'
import type { ReadyContent } from '../uploads/temporary-file.ts'
import type { UploadShare } from '../uploads/upload-share.ts'
import type { Volume } from '../volumes/volume.ts'
import type { FileVersion } from './version-records.ts'

const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** The open file of a version. Disposing of it leaves the version as it is. */
export class KeptContent implements ReadyContent {
  readonly id = randomUUID()
  readonly path: FilePath
  readonly size: number
  readonly sha256: string
  readonly file: string
  readonly handle: FileHandle
  readonly version: FileVersion
  share: UploadShare | undefined

  private constructor(version: FileVersion, file: string, handle: FileHandle) {
    this.path = version.path
    this.size = version.fingerprint.size
    this.sha256 = version.sha256
    this.file = file
    this.handle = handle
    this.version = version
  }

  /**
   * @returns undefined when it is gone, or was written to: whoever had the file open for that before it
   *   was replaced may go on
   */
  static async open(volume: Volume, version: FileVersion): Promise<KeptContent | undefined> {
    const file = await volume.versionFile(version.id)
    if (file === undefined) return undefined
    await using cleanup = new AsyncDisposableStack()
    try {
      const handle = cleanup.use(await open(file, READ))
      const stats = await handle.stat({ bigint: true })
      if (!stats.isFile() || !sameContent(version.fingerprint, fingerprintOf(stats))) {
        return undefined
      }
      cleanup.move()
      return new KeptContent(version, file, handle)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  keep(): void {
    // Its name became the visible one; there was no other.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.share?.[Symbol.dispose]()
    await this.handle.close()
  }
}
