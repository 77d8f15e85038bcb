import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import {
  AdminTokenFile,
  adminTokenPath,
  createAdminToken,
} from '../auth/credentials/admin-token.ts'
import { FailureThrottle } from '../auth/credentials/failure-throttle.ts'
import { LastUses } from '../auth/credentials/last-uses.ts'
import { UsersTable } from '../auth/rights/users-table.ts'
import { openTicketKey } from '../auth/tickets/ticket-key.ts'
import { Tickets } from '../auth/tickets/tickets.ts'
import { UserDirectory } from '../auth/user-directory.ts'
import { hasUsableAdministrator } from '../auth/users-file/administrators.ts'
import { readUsersFile } from '../auth/users-file/read-users-file.ts'
import { diffUsers, type UsersDiff } from '../auth/users-file/users-diff.ts'
import type { UsersFault } from '../auth/users-file/users-fault.ts'
import type { UsersFile } from '../auth/users-file/users-file.ts'
import { shrinkFault } from '../auth/users-file/users-shrink.ts'
import { IssuerKeys } from '../auth/workload/issuer-keys.ts'
import { TokenExchange } from '../auth/workload/token-exchange.ts'
import type { ContentValidator } from '../files/content-validator.ts'
import type { FilePath } from '../protocol/file-path.ts'
import { err } from '../protocol/result.ts'

/** Where the users file is served, whatever its name on disk. */
export const USERS_PATH = 'config/broker_users.xml' as FilePath

/** The users file as shipped, copied to where the settings say when nothing is there. */
const SHIPPED = new URL('../../config/broker_users.xml', import.meta.url)

export interface UsersInForceOptions {
  /** The users file on disk. */
  readonly file: string
  /** `<data>`, for the administrator token, the ticket key and the last good users file. */
  readonly data: string
  readonly log: FastifyBaseLogger
}

/** A users file that cannot be put in force at the start, when nothing else could be. */
export class UsersFileRefused extends Error {
  override readonly name = 'UsersFileRefused'
  readonly faults: readonly UsersFault[]

  constructor(file: string, faults: readonly UsersFault[]) {
    const lines = faults.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`)
    super(lines.join('\n'))
    this.faults = faults
  }
}

/**
 * The users file and the table made of it. A content is put in force whole or not at all, and the last good
 * one is kept, so that a bad edit takes nobody's rights, not even after a restart.
 */
export class UsersInForce implements AsyncDisposable {
  readonly directory: UserDirectory
  readonly tickets: Tickets
  readonly exchange: TokenExchange
  readonly lastUses: LastUses
  /** Set on the first start only. */
  readonly newAdminToken: string | undefined
  /** What the file says otherwise than when the broker last ran; undefined when it never did. */
  readonly changedOffline: UsersDiff | undefined
  readonly #options: UsersInForceOptions
  readonly #adminToken: AdminTokenFile
  #file: UsersFile

  private constructor(
    options: UsersInForceOptions,
    parts: UsersAtStart & {
      readonly adminToken: AdminTokenFile
      readonly key: Buffer
      readonly lastUses: LastUses
      readonly isNew: boolean
    },
  ) {
    this.#options = options
    this.#adminToken = parts.adminToken
    this.#file = parts.file
    const throttle = new FailureThrottle({ now: Date.now })
    const { adminToken, file, key, lastUses } = parts
    this.lastUses = lastUses
    this.directory = new UserDirectory(new UsersTable(file), {
      adminToken,
      throttle,
      lastUses,
      now: Date.now,
    })
    this.tickets = new Tickets({ key, directory: this.directory, throttle, now: Date.now })
    this.exchange = new TokenExchange({
      directory: this.directory,
      keys: new IssuerKeys(Date.now),
      // Of its own, and wider: one wrong workflow must not close the address that all runners have, and
      // there is no secret to guess.
      throttle: new FailureThrottle({ now: Date.now, maxFailures: 100 }),
      now: Date.now,
    })
    this.changedOffline = parts.changedOffline
    this.newAdminToken = parts.isNew ? adminTokenPath(options.data) : undefined
  }

  /** @throws {UsersFileRefused} when the file is bad or missing and no good one is kept */
  static async open(options: UsersInForceOptions): Promise<UsersInForce> {
    const { file, data, log } = options
    await mkdir(join(data, 'state'), { recursive: true, mode: 0o711 })
    await copyShipped(file, keptFile(data))
    const tokenPath = adminTokenPath(data)
    const users = await readAtStart(file, keptFile(data), log)
    const isNew =
      !hasUsableAdministrator(users.file, Date.now()) && (await createAdminToken(tokenPath))
    const adminToken = AdminTokenFile.open(tokenPath)
    const key = await openTicketKey(join(data, 'state', 'ticket.key'))
    const lastUses = await LastUses.open({
      path: join(data, 'state', 'last-uses.json'),
      now: Date.now,
      onFailure: (err) => log.warn({ event: 'auth.last-uses', err }, 'last uses not written'),
    })
    return new UsersInForce(options, { ...users, adminToken, key, lastUses, isNew })
  }

  /** Where the administrator token is, while it counts. */
  get adminTokenFile(): string | undefined {
    return this.#adminToken.hash() === undefined ? undefined : adminTokenPath(this.#options.data)
  }

  /** What judges an upload of the users file and an edit of it on disk. */
  get validator(): ContentValidator {
    return {
      matches: (path) => path === USERS_PATH,
      validate: async (content, { confirmShrink }) => {
        const read = await readUsersFile(await content.bytes(), this.#rules)
        if (!read.ok) return read.error
        const shrink = confirmShrink ? undefined : shrinkFault(this.#file, read.value)
        return shrink === undefined ? [] : [shrink]
      },
    }
  }

  /**
   * Puts in force what is on disk; a bad content changes nothing.
   *
   * @returns what is otherwise now; undefined when the content was refused
   */
  async reload(): Promise<UsersDiff | undefined> {
    const { file, data, log } = this.#options
    const bytes = await readFile(file)
    const read = await readUsersFile(bytes, this.#rules)
    if (!read.ok) {
      log.error(
        { event: 'auth.users.refused', errors: read.error },
        'users file refused; the last good one is in force',
      )
      return undefined
    }
    const diff = diffUsers(this.#file, read.value)
    this.#file = read.value
    this.directory.swap(new UsersTable(read.value))
    this.lastUses.retain(read.value.users.flatMap(({ credentials }) => credentials))
    log.info(
      { event: 'auth.users.accepted', users: read.value.users.length },
      'users file in force',
    )
    await keep(bytes, keptFile(data))
    return diff
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#adminToken.close()
    await this.lastUses.close()
  }

  get #rules() {
    return { nowMs: Date.now(), hasAdminToken: this.#adminToken.hash() !== undefined }
  }
}

function keptFile(data: string): string {
  return join(data, 'state', 'users.last-good.xml')
}

/** For a new installation: where one is kept, a file that is missing was taken away. */
async function copyShipped(file: string, kept: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  if ((await readIfThere(file)) !== undefined || (await readIfThere(kept)) !== undefined) return
  const shipped = await readIfThere(SHIPPED)
  if (shipped === undefined) return
  // In a clone it is the file that its own broker uses: nobody's tokens and certificates come along.
  const text = shipped.toString().replaceAll(/<\w+ [^<>]*\bsha256="[0-9a-f]{64}"[^<>]*\/>/g, '')
  await writeFile(file, text, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
}

/** Where none is shipped either, or one is kept that is no good. */
const MISSING = err([{ line: 1, column: 1, message: 'there is no users file' }])

interface UsersAtStart {
  readonly file: UsersFile
  readonly changedOffline: UsersDiff | undefined
}

async function readAtStart(
  file: string,
  kept: string,
  log: FastifyBaseLogger,
): Promise<UsersAtStart> {
  const bytes = await readIfThere(file)
  // The administrator token is made when it turns out to be needed.
  const rules = { nowMs: Date.now(), hasAdminToken: true }
  const read = bytes === undefined ? MISSING : await readUsersFile(bytes, rules)
  const good = await readFile(kept).catch(() => undefined)
  const last = good === undefined ? undefined : await readUsersFile(good, rules)
  if (read.ok && bytes !== undefined) {
    // A disk that is full keeps nobody from a start.
    if (good?.equals(bytes) !== true) await keep(bytes, kept)
    const changedOffline = last?.ok === true ? diffUsers(last.value, read.value) : undefined
    return { file: read.value, changedOffline }
  }
  const errors = read.ok ? [] : read.error
  if (last?.ok !== true) throw new UsersFileRefused(file, errors)
  const fields = { event: 'auth.users.refused', errors }
  log.error(fields, 'users file refused; the last good one is in force')
  return { file: last.value, changedOffline: undefined }
}

async function readIfThere(file: string | URL): Promise<Buffer | undefined> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

async function keep(bytes: Buffer, kept: string): Promise<void> {
  await writeFile(`${kept}.tmp`, bytes, { mode: 0o600 })
  await rename(`${kept}.tmp`, kept)
}
