import { constants } from 'node:fs'
import { lstat, mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ulid } from 'ulid'
import { errorCode, isMissing } from '../store/storage-fault.ts'
import { ConfinedDirectory } from './confined-directory.ts'

/** The file in a volume that says which volume it is. Hidden, so neither served nor told. */
const MARKER = '.broker-volume'

/** What a volume was called when it was first seen, kept with the broker's own state. */
const KNOWN = 'volume-id'

/**
 * Tells an empty volume from a mount that is gone: the directory holds a marker with an id that the state
 * knows. Without it every file of an unmounted disk would be told as deleted.
 */
export class VolumeIdentity {
  readonly #id: string | undefined
  #seen: string | undefined

  private constructor(id: string | undefined) {
    this.#id = id
  }

  /**
   * Marks a directory that the state does not know yet; later compares. To serve another directory under
   * an old name on purpose, its operator removes `volume-id` from the state directory.
   */
  static async establish(directory: string, stateDirectory: string): Promise<VolumeIdentity> {
    const known = join(stateDirectory, KNOWN)
    const id = await readOptional(known)
    if (id !== undefined) return new VolumeIdentity(id)
    await mkdir(directory, { recursive: true })
    const marked = await markDirectory(directory)
    if (marked !== undefined) await writeFile(known, `${marked}\n`, { mode: 0o600, flush: true })
    return new VolumeIdentity(marked)
  }

  /** True when `root` is the directory that was marked. */
  async isIn(root: ConfinedDirectory): Promise<boolean> {
    if (this.#id === undefined) return true
    const seen = await markerState(root)
    if (seen !== undefined && seen === this.#seen) return true
    const matches = seen !== undefined && (await readMarker(root)) === this.#id
    this.#seen = matches ? seen : undefined
    return matches
  }
}

/** The id in the directory; written when there is none. Undefined where nothing may be written. */
async function markDirectory(directory: string): Promise<string | undefined> {
  await using root = await ConfinedDirectory.openRoot(directory)
  const present = await readMarker(root)
  if (present !== undefined) return present
  const id = ulid()
  try {
    await writeFile(root.at(MARKER), `${id}\n`, { flag: 'wx', mode: 0o644, flush: true })
  } catch (error) {
    if (['EROFS', 'EACCES', 'EPERM'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
  await root.sync()
  return id
}

async function markerState(root: ConfinedDirectory): Promise<string | undefined> {
  try {
    const { dev, ino, ctimeNs } = await lstat(root.at(MARKER), { bigint: true })
    return `${dev}:${ino}:${ctimeNs}`
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function readMarker(root: ConfinedDirectory): Promise<string | undefined> {
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    await using marker = await open(root.at(MARKER), flags)
    return (await marker.readFile('utf8')).trim()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
