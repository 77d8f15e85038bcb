import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, unwatchFile, watchFile } from 'node:fs'
import { mkdir, open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createToken, tokenHash } from './tokens.ts'

/** The administrator token as it is at this moment. */
export interface AdministratorToken {
  /** SHA-256 of the token in lower-case hex; undefined while there is none. */
  hash(): string | undefined
  onChange(listener: () => void): void
}

/** How soon an open connection of the administrator ends when the file is deleted. */
const POLL_MS = 500

/** Shorter content, such as that of a file being written, is no token. */
const MIN_LENGTH = 32
const MAX_LENGTH = 1024

export function adminTokenPath(dataDirectory: string): string {
  return join(dataDirectory, 'admin.token')
}

/**
 * Makes the administrator token unless there is one, readable by the broker's own user alone.
 *
 * @returns true when it was made now
 */
export async function createAdminToken(path: string): Promise<boolean> {
  if (readHash(path) !== undefined) return false
  await mkdir(dirname(path), { recursive: true })
  const draft = `${path}.${randomUUID()}.tmp`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(`${createToken()}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
  return true
}

/**
 * The token of a file that an operator may delete or replace at any time: the file is looked at on every
 * use, which is one `open` of a path that is asked for rarely, and twice a second for the connections that
 * are open already.
 */
export class AdminTokenFile implements AdministratorToken, Disposable {
  readonly #path: string
  readonly #listeners = new Set<() => void>()
  readonly #check = () => this.#compare()
  #lastHash: string | undefined

  private constructor(path: string) {
    this.#path = path
  }

  /** @param pollMs - how often the file is looked at for the sake of `onChange` */
  static open(path: string, pollMs: number = POLL_MS): AdminTokenFile {
    const token = new AdminTokenFile(path)
    token.#lastHash = readHash(path)
    watchFile(path, { interval: pollMs, persistent: false }, token.#check)
    return token
  }

  hash(): string | undefined {
    return readHash(this.#path)
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  close(): void {
    unwatchFile(this.#path, this.#check)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #compare(): void {
    const hash = readHash(this.#path)
    if (hash === this.#lastHash) return
    this.#lastHash = hash
    for (const listener of this.#listeners) listener()
  }
}

function readHash(path: string): string | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(path, 'r')
    const { size } = fstatSync(descriptor)
    if (size < MIN_LENGTH || size > MAX_LENGTH) return undefined
    const token = readFileSync(descriptor, 'utf8').trim()
    return token.length < MIN_LENGTH ? undefined : tokenHash(token)
  } catch {
    // Missing or unreadable: then nobody is administrator by it.
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
