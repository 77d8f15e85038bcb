import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { FilePath } from '../../protocol/file-path.ts'
import type { FileVersion } from '../history/version-records.ts'
import type { StagedFile } from '../store/file-store.ts'
import { unlinkIfThere } from '../store/unlink-if-there.ts'
import type { TemporaryDirectory } from '../volumes/volume.ts'
import type { UploadShare } from './upload-share.ts'

const REOPEN = constants.O_RDWR | constants.O_NOFOLLOW
const CREATE = REOPEN | constants.O_CREAT | constants.O_EXCL

/** 0666 less the umask: a worker of nginx is another user, and must read what it is told to send. */
const MODE = 0o666

/** A content on the file system of its volume, which `commitUploads` gives its visible name. */
export type ReadyContent = StagedFile &
  Pick<TemporaryFile, 'id' | 'handle' | 'file' | 'share' | 'keep'> & {
    /** The version that it is, of a content that is restored. */
    readonly version?: FileVersion
  }

/** A content on its way to a visible name. */
export class TemporaryFile implements StagedFile {
  readonly id: string
  readonly path: FilePath
  readonly handle: FileHandle
  readonly file: string
  size = 0
  sha256 = ''
  /** What the upload holds of the limits until it is counted or discarded. */
  share: UploadShare | undefined
  #isKept = false

  private constructor(id: string, path: FilePath, file: string, handle: FileHandle) {
    this.id = id
    this.path = path
    this.file = file
    this.handle = handle
  }

  /** @param id - names it, and the record of what is intended with it */
  static async create(
    id: string,
    path: FilePath,
    { directory, prefix }: TemporaryDirectory,
  ): Promise<TemporaryFile> {
    const file = join(directory, prefix + id)
    return new TemporaryFile(id, path, file, await open(file, CREATE, MODE))
  }

  /** Opens one that was kept. @throws ENOENT */
  static async reopen(
    id: string,
    path: FilePath,
    { directory, prefix }: TemporaryDirectory,
  ): Promise<TemporaryFile> {
    const file = join(directory, prefix + id)
    return new TemporaryFile(id, path, file, await open(file, REOPEN))
  }

  /** It is not discarded when it is disposed of: it has the visible name by then, or is gone on with later. */
  keep(): void {
    this.#isKept = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.share?.[Symbol.dispose]()
    await this.handle.close()
    if (this.#isKept) return
    this.#isKept = true
    await unlinkIfThere(this.file)
  }
}

/** Removes one that was kept; one that is gone is fine. */
export async function removeTemporaryFile(
  id: string,
  { directory, prefix }: TemporaryDirectory,
): Promise<void> {
  await unlinkIfThere(join(directory, prefix + id))
}

/** The id in the name of a temporary file of ours; undefined for any other name. */
export function temporaryId(name: string, prefix: string): string | undefined {
  if (!name.startsWith(prefix)) return undefined
  const id = name.slice(prefix.length)
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id : undefined
}
