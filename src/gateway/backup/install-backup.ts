import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { requireGrant } from '../../auth/require-grant.ts'
import { ARCHIVE_TYPE, tarOf } from '../../files/http/tar-archive.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseSwitch } from '../../protocol/query-switch.ts'
import { type BackupDeps, takeBackup } from './take-backup.ts'

/** Longer than a copy of the database takes. */
const STALLED_MS = 10 * 60_000

export interface InstallBackupDeps extends BackupDeps {
  /** Told of a backup that is about to be sent. */
  readonly taken?: (request: FastifyRequest, hasFiles: boolean) => void
}

/** `GET /backup`, for administrators: the state as a tar archive, with `?files` the files too. */
export function installBackup(app: FastifyInstance, deps: InstallBackupDeps): void {
  let isTaking = false
  // A HEAD would take one and throw it away.
  app.get('/backup', { exposeHeadRoute: false }, async (request, reply) => {
    requireGrant(request.principal, 'administer')
    const [, query] = (request.raw.url ?? '').split('?', 2)
    const hasFiles = parseSwitch(new URLSearchParams(query), 'files')
    if (isTaking) {
      const fields = { retryAfterSeconds: 10 }
      throw new BrokerError('TOO_MANY_REQUESTS', 'another backup is being taken', { fields })
    }
    isTaking = true
    deps.taken?.(request, hasFiles)
    const archive = Readable.from(tarOf(takeBackup(deps, hasFiles)), { objectMode: false })
    archive.once('close', () => {
      isTaking = false
    })
    // Whoever takes nothing any more does not keep others from theirs.
    reply.raw.setTimeout(STALLED_MS, () => archive.destroy())
    return reply.header('cache-control', 'no-store').type(ARCHIVE_TYPE).send(archive)
  })
}
