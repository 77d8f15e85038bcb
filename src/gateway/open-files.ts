import { access, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '../database/database.ts'
import type { Statement } from '../database/statement.ts'
import type { ContentValidator } from '../files/content-validator.ts'
import type { FilePolicy } from '../files/file-policy.ts'
import { Housekeeping } from '../files/history/housekeeping.ts'
import { Retention } from '../files/history/retention.ts'
import type { VersionUsage } from '../files/history/version-records.ts'
import type { TellChanges } from '../files/index/file-index.ts'
import { SqliteFileIndex } from '../files/index/sqlite-file-index.ts'
import { PathLocks } from '../files/path-locks.ts'
import { DiskFileStore } from '../files/store/disk-file-store.ts'
import { entriesOf } from '../files/store/serve-links.ts'
import { StrongDigests } from '../files/store/strong-digests.ts'
import { ContentHasher } from '../files/uploads/content-hasher.ts'
import { recoverUploads } from '../files/uploads/recover-uploads.ts'
import { ResumableUploads } from '../files/uploads/resumable-uploads.ts'
import { UploadRecords } from '../files/uploads/upload-records.ts'
import { PolicyValidator } from '../files/validation/policy-validator.ts'
import { Volume } from '../files/volumes/volume.ts'
import { Volumes } from '../files/volumes/volumes.ts'
import { keepAccepted } from '../files/watch/keep-accepted.ts'
import { SingleFileWatch } from '../files/watch/single-file-watch.ts'
import { VolumeContent } from '../files/watch/volume-content.ts'
import { VolumeWatch } from '../files/watch/volume-watch.ts'
import type { WatchStatus } from '../files/watch/watch-status.ts'
import type { FilePath } from '../protocol/file-path.ts'
import { readFilePolicy } from './file-policy-file.ts'
import type { Settings } from './settings/settings.ts'
import { UsageError } from './settings/settings-usage-error.ts'
import { USERS_PATH } from './users-in-force.ts'

export interface OpenFilesDeps {
  readonly database: Database
  readonly tell: TellChanges<Statement>
  readonly untoldDeleted: (path: FilePath, size: number) => void
  readonly validators: readonly ContentValidator[]
  readonly log: FastifyBaseLogger
}

/** The files of the broker: what is served, and what keeps the index true to the disk. */
export interface OpenFiles extends AsyncDisposable {
  readonly store: DiskFileStore
  readonly strongDigests: StrongDigests
  readonly policy: FilePolicy
  readonly uploads: ResumableUploads
  /** Resolves when what changed while the broker was down is told. */
  readonly started: Promise<void>
  /** Resolves when every change made on disk before this call is told. */
  sync(): Promise<void>
  watchStatus(): WatchStatus
  /** Of the files in the index. */
  totalBytes(): number
  /** True while the content on disk is one that was refused: something older is served. */
  isRefused(path: FilePath): Promise<boolean>
  /** Hash threads that ended unasked. */
  hashFailures(): number
  /** Reads the schemas of the file policy again; with a bad one all remain as they are. */
  reload(): Promise<void>
  /** The space of former contents that are kept. */
  versionUsage(): Promise<VersionUsage>
}

/** The users file is small and written at once, and half of one is not well-formed: somebody waits for it. */
const USERS_SETTLE_MS = 100

export async function openFiles(settings: Settings, deps: OpenFilesDeps): Promise<OpenFiles> {
  const { database, tell, log } = deps
  await using cleanup = new AsyncDisposableStack()
  const policy = await readFilePolicy(settings)
  const byPolicy = cleanup.use(await openPolicyValidator(policy))
  const validators = policy.lacks('content') ? deps.validators : [...deps.validators, byPolicy]
  const { files, users } = await openVolumes(settings)
  const volumes = new Volumes([files, users])
  const index = await SqliteFileIndex.open(database, tell)
  const records = await UploadRecords.open(database)
  const resumable = new Set((await records.all()).map(({ id }) => id))
  const recovered = await recoverUploads(volumes, index, resumable)
  log.info({ event: 'files.recovered', ...recovered }, 'uploads recovered')

  const locks = new PathLocks()
  const hasher = cleanup.use(new ContentHasher())
  const store: DiskFileStore = new DiskFileStore(
    {
      volumes,
      index,
      locks,
      hasher,
      validators,
      policy,
      untoldDeleted: deps.untoldDeleted,
      reconcile: (path) => (path === USERS_PATH ? usersWatch.reconcile() : watch.reconcile(path)),
    },
    { maxFileBytes: settings.maxFileBytes },
  )
  cleanup.use(store)
  const uploads = cleanup.use(await ResumableUploads.open({ store, records, log }))
  const shared = (volume: Volume) => ({
    index,
    locks,
    validators,
    log,
    content: new VolumeContent(volume, hasher, store.ownLinks, store.accepted),
    isOnline: () => volume.isOnline(),
  })
  const indexed = join(files.stateDirectory, 'indexed')
  const isFirst = !(await exists(indexed))
  const watch = new VolumeWatch(
    {
      directory: files.directory,
      stateDirectory: files.stateDirectory,
      prefix: '',
      excluded: [users.prefix],
      settleMs: settings.settleMs,
      isFirst,
    },
    shared(files),
  )
  cleanup.use(watch)
  const usersWatch = new SingleFileWatch(
    {
      file: settings.users,
      path: USERS_PATH,
      settleMs: Math.min(settings.settleMs, USERS_SETTLE_MS),
    },
    shared(users),
  )
  cleanup.use(usersWatch)
  for (const volume of [users, files]) {
    const isJudged = volume === users || !policy.lacks('content')
    const entries = isJudged ? entriesOf(index, volume.prefix) : []
    const missing = await store.accepted.sweep(volume, entries)
    await keepAccepted(missing, shared(volume))
  }
  const watching = watch.start().then(async () => {
    if (isFirst) await writeFile(indexed, '')
  })
  watching.catch((err: unknown) => log.warn({ event: 'files.watch', err }, 'the watch has ended'))
  // Nothing is told of a volume that is offline; it is looked for meanwhile.
  const isOnline = await files.isOnline()
  const started = Promise.all([isOnline ? watching : undefined, usersWatch.start()]).then(() => {})
  const retention = new Retention({
    store,
    index,
    policy,
    mayDelete: (path) => volumes.of(path)?.only === undefined,
  })
  const housekeeping = new Housekeeping({
    chores: [
      { event: 'files.retained', run: (signal) => retention.sweep(signal) },
      { event: 'files.versions', run: (signal) => store.history.sweep(signal) },
    ],
    log,
  })
  cleanup.use(housekeeping)
  // Only when the index is true to the disk: what was edited meanwhile is not old.
  started.then(() => housekeeping.start()).catch(() => undefined)
  const owned = cleanup.move()
  return {
    store,
    strongDigests: new StrongDigests(hasher),
    policy,
    uploads,
    started,
    sync: async () => void (await Promise.all([watch.sync(), usersWatch.sync()])),
    watchStatus: () => watch.status,
    totalBytes: () => index.usage.totalBytes,
    isRefused: async (path) => (await index.refusalOf(path)) !== undefined,
    hashFailures: () => hasher.failures,
    reload: async () => {
      const schemas = await byPolicy.reload()
      if (schemas.ok) return watch.rescan({ rejudges: true })
      const fields = { event: 'files.schemas.refused', errors: schemas.error }
      log.error(fields, 'schemas refused; the former ones are in force')
    },
    versionUsage: () => index.versions.usage(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** @throws {UsageError} with every schema that cannot be used */
async function openPolicyValidator(policy: FilePolicy): Promise<PolicyValidator> {
  const validator = await PolicyValidator.open(policy)
  if (!validator.ok) throw new UsageError(validator.error)
  return validator.value
}

async function openVolumes({ files, users, data }: Settings) {
  const stateOf = (name: string) => join(data, 'state', 'volumes', name)
  return {
    files: await Volume.open({
      name: 'default',
      prefix: '',
      directory: files.path,
      stateDirectory: stateOf('default'),
    }),
    users: await Volume.open({
      name: 'config',
      prefix: 'config',
      directory: dirname(users),
      stateDirectory: stateOf('config'),
      only: { name: 'broker_users.xml', file: users },
    }),
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
