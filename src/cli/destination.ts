import { randomUUID } from 'node:crypto'
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describeSystemError } from './describe-system-error.ts'

/**
 * A file being written under a temporary name beside its own. Disposed without `commit` it leaves nothing.
 */
export interface Destination extends AsyncDisposable {
  readonly path: string
  write(chunk: Uint8Array): Promise<void>
  commit(): Promise<void>
}

export interface DestinationOptions {
  /** Of a new file, less the umask. */
  readonly mode?: number
  /** Whether its content is on the disk when it has its name. */
  readonly isDurable?: boolean
}

/**
 * @param file - where to write: a file that is there or not, a directory, or a device or pipe
 * @param name - the file's name when `file` is a directory
 */
export async function openDestination(
  file: string,
  name: string,
  options: DestinationOptions = {},
): Promise<Destination> {
  try {
    const found = await stat(file).catch(() => undefined)
    if (found?.isDirectory())
      return await temporaryDestination(await real(join(file, name)), options)
    // To rename over /dev/null would replace the device.
    if (found !== undefined && !found.isFile()) return await directDestination(file)
    return await temporaryDestination(await real(file), options)
  } catch (error) {
    throw describeSystemError(`cannot write ${file}`, error)
  }
}

/** A link is followed, not replaced. */
async function real(path: string): Promise<string> {
  return realpath(path).catch(() => path)
}

async function temporaryDestination(
  path: string,
  { mode, isDurable = false }: DestinationOptions,
): Promise<Destination> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.part`)
  const handle = await open(temporary, 'wx', mode)
  let isRenamed = false
  return {
    path,
    write: (chunk) => writeAll(handle, chunk),
    async commit() {
      if (isDurable) await handle.sync()
      await handle.close()
      await rename(temporary, path)
      isRenamed = true
    },
    async [Symbol.asyncDispose]() {
      if (isRenamed) return
      await handle.close().catch(() => {})
      await rm(temporary, { force: true })
    },
  }
}

async function directDestination(path: string): Promise<Destination> {
  const handle = await open(path, 'w')
  return {
    path,
    write: (chunk) => writeAll(handle, chunk),
    commit: () => handle.close(),
    [Symbol.asyncDispose]: () => handle.close().catch(() => {}),
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let written = 0
  while (written < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, written)
    written += bytesWritten
  }
}
