import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { clientCertificate } from '../auth/credentials/client-certificate.ts'
import { installIdentity } from '../auth/plugin.ts'
import type { Principal } from '../auth/principal.ts'
import { exchangePlugin } from '../auth/workload/exchange-plugin.ts'
import { Connections } from '../events/delivery/connections.ts'
import { Delivery } from '../events/delivery/delivery.ts'
import { eventsPlugin } from '../events/plugin.ts'
import { PublishRate } from '../events/publish/publish-rate.ts'
import { Publisher } from '../events/publish/publisher.ts'
import { ZmqService } from '../events/zmq/zmq-service.ts'
import { uploadQuestionPlugin } from '../files/http/upload-question.ts'
import { filesPlugin } from '../files/plugin.ts'
import { tusPlugin } from '../files/tus/tus-plugin.ts'
import { SyncBarrier } from '../files/watch/sync-barrier.ts'
import { formatPosition } from '../protocol/position.ts'
import type { BrokerError } from '../protocol/problem.ts'
import { auditDirectory } from './audit/audit-files.ts'
import { AuditLog } from './audit/audit-log.ts'
import { AuditTrail } from './audit/audit-trail.ts'
import { installBackup } from './backup/install-backup.ts'
import { closerOf } from './close-server.ts'
import { componentStates } from './component-states.ts'
import { allowCrossOrigin } from './cross-origin.ts'
import { openCurveKeys } from './curve-keys.ts'
import { installDescription } from './description/install-description.ts'
import { SERVED_FROM } from './front/front-locations.ts'
import { requireProxySecret } from './front/front-request.ts'
import { createHttpApp } from './http-app.ts'
import { reloadingUsers } from './joins.ts'
import { listen, originOf } from './listen.ts'
import { observeDatabase, showDatabase } from './metrics/database-metrics.ts'
import { observePublishes, showEvents, showWorkers, showZmq } from './metrics/event-metrics.ts'
import { countChanges, showFiles } from './metrics/file-metrics.ts'
import { Metrics } from './metrics/metrics.ts'
import { observeRefusals } from './metrics/refusal-metrics.ts'
import { openEventLog } from './open-event-log.ts'
import { openFiles } from './open-files.ts'
import { installOperations } from './operations.ts'
import { ProxyTrust } from './proxy-trust.ts'
import type { Settings } from './settings/settings.ts'
import { StorageHealth } from './storage-health.ts'
import { UsersInForce } from './users-in-force.ts'
import { packageVersion } from './version.ts'
import { WorkerPool } from './workers/worker-pool.ts'

export interface GatewayDeps {
  readonly log: FastifyBaseLogger
}

/** A running broker. */
export interface Gateway extends AsyncDisposable {
  /** Where HTTP and WebSocket are served: `http://127.0.0.1:8080`, or `unix:/path`. */
  readonly url: string
  /** Where the administrator token is, while there is one. */
  readonly adminTokenFile: string | undefined
  /** What clients of the CURVE endpoints need; undefined when there are none. */
  readonly curvePublicKey: string | undefined
  /** Puts the users file in force as it is on disk, and the schemas of contents. */
  reload(): Promise<void>
  /** Tells clients to come back, spreading their closes over `windowMs`, finishes requests, and closes. */
  drain(windowMs: number): Promise<void>
  close(): Promise<void>
}

/** A first look at very many files goes on behind the first requests. */
const START_WAIT_MS = 10_000

/** The composition root: the only file that builds services. Read it first. */
export async function createGateway(settings: Settings, { log }: GatewayDeps): Promise<Gateway> {
  await using cleanup = new AsyncDisposableStack()
  const core = await openCore(settings, log, cleanup)
  const http = await openHttp(settings, core, log, cleanup)
  const streams = await openStreams(settings, core, http, log, cleanup)
  await serveFiles(settings, core, http)
  serveOperations(settings, core, http, streams)

  const { users, files, connections, audit } = core
  // What changed while the broker was down is told before it answers, unless that takes long.
  await Promise.race([files.started, delay(START_WAIT_MS, undefined, { ref: false })])
  const url = await listen(http.app, settings)
  const owned = cleanup.move()
  const close = () => owned.disposeAsync()
  return {
    url,
    adminTokenFile: users.adminTokenFile,
    curvePublicKey: streams.curve?.publicKey,
    reload: async () => {
      audit.broker('broker.reload', {})
      const reloaded = users.reload().then((diff) => audit.usersFound(diff, 'reload'))
      await Promise.all([reloaded, files.reload()])
    },
    drain: async (windowMs) => {
      // Nobody new is let in while those who are here are told to leave.
      const closed = http.server.close()
      await connections.drain(windowMs)
      await closed
      await close()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

type Core = Awaited<ReturnType<typeof openCore>>
type Http = Awaited<ReturnType<typeof openHttp>>
type Streams = Awaited<ReturnType<typeof openStreams>>

/** What all doors share: who may what, the log, the files, and who is told of what happens. */
async function openCore(settings: Settings, log: FastifyBaseLogger, cleanup: AsyncDisposableStack) {
  const version = await packageVersion()
  const users = cleanup.use(
    await UsersInForce.open({ file: settings.users, data: settings.data, log }),
  )
  const auditLog = cleanup.use(
    new AuditLog({
      directory: auditDirectory(settings.data),
      now: Date.now,
      onFailure: (state) =>
        log.error({ event: 'audit.failed', ...state }, 'the audit log cannot be written'),
    }),
  )
  const audit = new AuditTrail(auditLog)
  const metrics = new Metrics(version)
  const storage = new StorageHealth(log)
  const timeDatabase = observeDatabase(metrics)
  const events = await openEventLog(settings, (group) => {
    timeDatabase(group)
    storage.observe(group)
  })
  cleanup.use(events.database)
  const eventLog = cleanup.use(events.log)
  const { newAdminToken, changedOffline, directory: identities } = users
  audit.broker('broker.start', { version, epoch: eventLog.epoch, newAdminToken })
  audit.usersFound(changedOffline, 'offline')
  cleanup.defer(() => audit.broker('broker.stop', {}))

  const delivery = cleanup.use(new Delivery(eventLog))
  const connections = cleanup.use(
    new Connections({
      renew: (principal) => identities.renew(principal),
      limits: { perUser: settings.connectionsPerUser, perAddress: settings.connectionsPerAddress },
    }),
  )
  identities.onChange(() => connections.judgeAll())
  const files = cleanup.use(
    await openFiles(settings, {
      database: events.database,
      tell: reloadingUsers(countChanges(metrics, events.tell), users, (...change) =>
        audit.fileTold(...change),
      ),
      untoldDeleted: (path, size) => audit.untoldDeleted(path, size),
      validators: [users.validator],
      log,
    }),
  )
  const publisher = new Publisher({
    log: eventLog,
    maxEventBytes: settings.maxEventBytes,
    rate: new PublishRate(settings.publishRate),
    observer: observePublishes(metrics),
  })
  return {
    ...{ version, users, identities, audit, metrics, storage },
    ...{ events, eventLog, delivery, connections, files, publisher },
  }
}

/** The HTTP server, and who is asking. */
async function openHttp(
  settings: Settings,
  { version, users, identities, audit, metrics }: Core,
  log: FastifyBaseLogger,
  cleanup: AsyncDisposableStack,
) {
  const { publicUrl, maxEventBytes, origins, proxy, proxySecretFile } = settings
  const isUnixSocket = settings.listen.kind === 'unix'
  const secret =
    proxySecretFile === undefined ? undefined : await requireProxySecret(proxySecretFile)
  const trust = new ProxyTrust({ proxy, isUnixSocket, secret })
  const app = await createHttpApp({ logger: log, publicUrl, maxEventBytes })
  trust.guard(app.server)
  const server = closerOf(app)
  cleanup.defer(() => server.close())
  await allowCrossOrigin(app, origins)
  audit.observe(app)
  const refusals = observeRefusals(metrics)
  const refused = (error: BrokerError, request: FastifyRequest) => {
    refusals.count(error)
    audit.credentialRefused(error, request)
  }
  installIdentity(app, {
    directory: identities,
    tickets: users.tickets,
    lastUses: users.lastUses,
    certificateOf: ({ raw, headers }) =>
      trust.isFromProxy(raw) ? clientCertificate(headers) : undefined,
    origins: { allowed: origins, ...(publicUrl !== undefined && { publicUrl }) },
    refused,
    ticketIssued: (wanted) => audit.ticketIssued(wanted),
  })
  await app.register((scope) =>
    exchangePlugin(scope, {
      exchange: users.exchange,
      issued: (token) => audit.tokenIssued(token),
      refused,
    }),
  )
  installDescription(app, version)
  return { app, server, trust, refusals }
}

/** Events, by all transports. */
async function openStreams(
  settings: Settings,
  core: Core,
  { app, refusals }: Http,
  log: FastifyBaseLogger,
  cleanup: AsyncDisposableStack,
) {
  const { maxEventBytes, logLevel } = settings
  const { eventLog, delivery, connections, publisher, audit, metrics } = core
  const identities = audit.watch(refusals.watch(core.identities))
  const doors = { log: eventLog, delivery, connections, publisher, identities }
  const workers = cleanup.use(
    await WorkerPool.open(settings.workers, { ...doors, logger: log }, { maxEventBytes, logLevel }),
  )
  workers.observe(app.server)
  const handOver = workers.handOver.bind(workers)
  await app.register((scope) => eventsPlugin(scope, { ...doors, handOver }))
  const endpoints = { subscribe: settings.zmqSubscribe, session: settings.zmqSession }
  const isCurve = Object.values(endpoints)
    .flat()
    .some(({ security }) => security === 'curve')
  const curve = isCurve ? await openCurveKeys(settings) : undefined
  const publicUrl = () => settings.publicUrl ?? originOf(app)
  const zmq = cleanup.use(
    await ZmqService.open(endpoints, { ...doors, logger: log, maxEventBytes, publicUrl, curve }),
  )
  core.identities.onChange(() => zmq.judge())
  showEvents(metrics, { ...doors, workers })
  showZmq(metrics, zmq)
  showWorkers(metrics, workers)
  return { workers, zmq, curve }
}

/** `/files` and `/uploads`. */
async function serveFiles(
  { maxFileBytes }: Settings,
  { files, identities, events: { database }, eventLog, audit }: Core,
  { app, trust }: Http,
): Promise<void> {
  const uploads = {
    store: files.store,
    policy: files.policy,
    maxFileBytes,
    renew: (principal: Principal) => identities.renew(principal),
  }
  const barrier = new SyncBarrier(async () => {
    await files.sync()
    // What the index knows may not be durable yet, and so not told: commits are answered in their order.
    await database.commit([])
    return formatPosition(eventLog.epoch, eventLog.head)
  })
  await app.register((scope) => uploadQuestionPlugin(scope, uploads))
  await app.register((scope) =>
    tusPlugin(scope, {
      ...uploads,
      uploads: files.uploads,
      terminated: (upload) => audit.uploadTerminated(upload),
    }),
  )
  await app.register((scope) =>
    filesPlugin(scope, {
      ...uploads,
      barrier: () => barrier.pass(),
      history: files.store.history,
      strongDigests: files.strongDigests,
      acceleratedBy: ({ raw }) => (trust.isFromProxy(raw) ? SERVED_FROM : undefined),
    }),
  )
}

/** Health, metrics and backup. */
function serveOperations(
  { data, users, files: { path: volume } }: Settings,
  { version, metrics, storage, events: { database, path }, files, audit }: Core,
  { app, trust }: Http,
  { workers, zmq }: Streams,
): void {
  showFiles(metrics, files, { files: volume, data })
  showDatabase(metrics, database, path)
  const zmqEndpoints = zmq.subscribeEndpoints.length + zmq.sessionEndpoints.length
  const places = { data, volume, users, reserveBytes: files.policy.limits.freeBytes }
  const parts = { ...places, database, storage, files, workers, front: trust, zmqEndpoints }
  installOperations(app, { version, metrics, components: () => componentStates(parts) })
  const taken = audit.backupTaken.bind(audit)
  installBackup(app, { data, users, database, store: files.store, version, taken })
}
