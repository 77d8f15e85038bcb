import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { describeUsersDiff } from '../../auth/describe-users-diff.ts'
import type { Identities } from '../../auth/principal.ts'
import type { WantedTicket } from '../../auth/tickets/ticket-request.ts'
import { type Difference, isSameUsers, type UsersDiff } from '../../auth/users-file/users-diff.ts'
import type { ListedCredential } from '../../auth/users-file/users-file.ts'
import type { ExchangedToken } from '../../auth/workload/token-exchange.ts'
import type { FileChange } from '../../files/file-change.ts'
import type { UploadRecord } from '../../files/uploads/upload-records.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError, type ProblemCode } from '../../protocol/problem.ts'
import { USERS_PATH } from '../users-in-force.ts'
import type { AuditLog } from './audit-log.ts'
import { type AuditAction, type AuditActor, actorOf, NOBODY } from './audit-record.ts'
import { addressOf, wantedWrite } from './wanted-write.ts'

type Details = Readonly<Record<string, unknown>>

/** Changes of one users file that are listed; a file made anew can differ in thousands. */
const MAX_CHANGES = 500

const FILE_ACTIONS = {
  'FILE CREATED': 'file.create',
  'FILE UPDATED': 'file.replace',
  'FILE DELETED': 'file.delete',
} as const

/**
 * Turns what happens in the broker into lines of the audit log. A change is recorded where it is
 * committed, whatever door it came by; the request that it was made in is found by its async context.
 */
export class AuditTrail {
  readonly #log: AuditLog
  readonly #requests = new AsyncLocalStorage<FastifyRequest>()
  readonly #refusedRequests = new WeakSet<FastifyRequest>()

  constructor(log: AuditLog) {
    this.#log = log
  }

  /** Must be called before routes are added, whose requests are to be known. */
  observe(app: FastifyInstance): void {
    // The last hook before the handler: a body that is gathered ends the context of those before.
    app.addHook('preHandler', (request, _reply, done) => {
      const { method, routeOptions } = request
      // Nothing is changed by reading, and streams would hold their requests for as long as they last; who
      // published an event stands in the event.
      if (method === 'GET' || routeOptions.config.isRoutine === true) done()
      else this.#requests.run(request, done)
    })
    app.addHook('onResponse', (request, { problemCode }, done) => {
      if (problemCode !== undefined) this.#answered(request, problemCode)
      done()
    })
  }

  /** Something that was done to the broker as a whole. */
  broker(action: AuditAction, details: Details): void {
    this.#done(action, 'broker', details, NOBODY)
  }

  credentialRefused({ code }: BrokerError, request: FastifyRequest): void {
    this.#refusedRequests.add(request)
    const target = wantedWrite(request) ?? addressOf(request.raw.url)
    this.#refused('auth', target, code, actorOf(request))
  }

  ticketIssued({ purpose, path }: WantedTicket): void {
    this.#done('ticket.issue', path ?? purpose, { purpose }, this.#actor())
  }

  /** A token that a job was given for one of its issuer; from here on it is known by it. */
  tokenIssued({ user, id, subject, expiresMs }: Omit<ExchangedToken, 'secret'>): void {
    const details = { subject, expires: new Date(expiresMs).toISOString() }
    this.#done('token.issue', `${user}/${id}`, details, { ...this.#actor(), user, credential: id })
  }

  uploadTerminated({ path, length }: UploadRecord): void {
    this.#done('upload.terminate', path, { size: length }, this.#actor())
  }

  backupTaken(request: FastifyRequest, hasFiles: boolean): void {
    this.#done('backup.take', 'broker', { files: hasFiles }, actorOf(request))
  }

  /** A file that was deleted before it was told that it is there. */
  untoldDeleted(path: FilePath, size: number): void {
    this.#done('file.delete', path, { size }, this.#actor())
  }

  /** A change that was committed; of the users file with what it changed. */
  fileTold(change: FileChange, position: string | undefined, diff: UsersDiff | undefined): void {
    const { path, origin, size, sha256, errors, type } = change
    const details = { origin, size, sha256, position, errors }
    if (path === USERS_PATH) {
      const actor = origin === 'upload' ? this.#actor() : NOBODY
      if (type === 'FILE REJECTED') {
        this.#refused('users.replace', path, 'CONTENT_INVALID', actor, details)
        // What changed while the broker was down is in force at its start, which tells it.
      } else if (origin !== 'offline') {
        this.#usersReplaced(actor, details, diff)
      }
      // Of an edit on disk nobody knows who made it: its event tells all there is.
    } else if (origin === 'upload' && type !== 'FILE REJECTED') {
      const version = restoredIn(this.#requests.getStore())
      this.#done(FILE_ACTIONS[type], path, { size, sha256, position, version }, this.#actor())
    }
  }

  /** What the broker found changed in the users file, at its start or when it was told to look. */
  usersFound(diff: UsersDiff | undefined, origin: 'offline' | 'reload'): void {
    if (diff === undefined || isSameUsers(diff)) return
    this.#usersReplaced(NOBODY, { origin }, diff)
  }

  /** The same identities, whose refusals are recorded: for doors that are no requests. */
  watch(identities: Identities): Identities {
    const recorded = <Value>(address: string, identify: () => Value): Value => {
      try {
        return identify()
      } catch (error) {
        if (error instanceof BrokerError) {
          this.#refused('auth', 'connection', error.code, { ...NOBODY, address })
        }
        throw error
      }
    }
    return {
      // ZeroMQ tells no address; what stands for it holds what the peer claimed to be.
      authenticate: (secret, from) =>
        recorded(from.startsWith('zmq:') ? 'zmq' : from, () =>
          identities.authenticate(secret, from),
        ),
      authenticateCurveKey: (key) => recorded('zmq', () => identities.authenticateCurveKey(key)),
      anonymous: () => identities.anonymous(),
      renew: (principal) => identities.renew(principal),
    }
  }

  #answered(request: FastifyRequest, code: ProblemCode): void {
    const wanted = wantedWrite(request)
    if (wanted === undefined || this.#refusedRequests.has(request)) return
    this.#refused('file.write', wanted, code, actorOf(request))
  }

  /** Who makes the request in which this is called; the broker itself outside of one. */
  #actor(): AuditActor {
    const request = this.#requests.getStore()
    return request === undefined ? NOBODY : actorOf(request)
  }

  #usersReplaced(actor: AuditActor, details: Details, diff: UsersDiff | undefined): void {
    const changes = diff === undefined ? [] : [...describeUsersDiff(diff)]
    const listed = { changeCount: changes.length, changes: changes.slice(0, MAX_CHANGES) }
    this.#done('users.replace', USERS_PATH, { ...details, ...listed }, actor)
    for (const { name, credentials } of diff?.users ?? []) {
      const { gained, lost } = withoutExtended(credentials)
      for (const { kind, id } of lost) {
        this.#done('credential.remove', `${name}/${id}`, { kind }, actor)
      }
      for (const { kind, id } of gained) {
        this.#done('credential.add', `${name}/${id}`, { kind }, actor)
      }
    }
  }

  #done(action: AuditAction, target: string, details: Details, actor: AuditActor): void {
    this.#log.record({ ...actor, action, target, outcome: 'done', details })
  }

  #refused(
    action: AuditAction,
    target: string,
    code: ProblemCode,
    actor: AuditActor,
    details?: Details,
  ): void {
    const refused = { ...actor, action, target, outcome: 'refused', code } as const
    this.#log.record(details === undefined ? refused : { ...refused, details })
  }
}

/** One whose end is another is lost and gained: it is the same one. */
function withoutExtended({ gained, lost }: Difference<ListedCredential>) {
  const missingIn = (others: readonly ListedCredential[]) => (one: ListedCredential) =>
    !others.some(({ kind, value }) => kind === one.kind && value === one.value)
  return { gained: gained.filter(missingIn(lost)), lost: lost.filter(missingIn(gained)) }
}

/** The version that a request asks to bring back. */
function restoredIn(request: FastifyRequest | undefined): string | undefined {
  const [, query] = /^\/files\/[^?]*\?(.*)/.exec(request?.raw.url ?? '') ?? []
  return new URLSearchParams(query).get('restore') ?? undefined
}
