import { link, rename, unlink } from 'node:fs/promises'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { contentChange } from '../content-change.ts'
import { fingerprintOf } from '../fingerprint.ts'
import type { FormerContent, VersionKeeper } from '../history/version-keeper.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import type { PathLocks } from '../path-locks.ts'
import { entityTagOf } from '../store/entity-tag.ts'
import type { CommittedFile, WriteGuard } from '../store/file-store.ts'
import { errorCode, storageFault } from '../store/storage-fault.ts'
import { type InspectDeps, inspect, type VisibleState } from '../store/visible-file.ts'
import type { Place } from '../volumes/place.ts'
import type { Volume } from '../volumes/volume.ts'
import type { DirectorySync } from './directory-sync.ts'
import type { InFlightPaths } from './in-flight-paths.ts'
import { mapSome } from './map-some.ts'
import type { ReadyContent } from './temporary-file.ts'

export interface CommitDeps extends InspectDeps {
  readonly locks: PathLocks
  readonly inFlight: InFlightPaths
  readonly directorySync: DirectorySync
  readonly keeper: VersionKeeper
  readonly untoldDeleted?: ((path: FilePath, size: number) => void) | undefined
}

export interface TemporaryUpload {
  readonly temporary: ReadyContent
  readonly volume: Volume
  readonly guard: WriteGuard
}

/** One upload whose guard has passed. */
interface Admitted extends TemporaryUpload {
  /** Undefined when its directory is not there yet. */
  readonly place: Place | undefined
  readonly before: VisibleState
}

interface Ready extends Admitted {
  readonly place: Place
}

interface Done {
  readonly upload: Ready
  readonly former: FormerContent | undefined
  readonly entry: IndexEntry
  readonly modifiedMs: number
}

/** An upload that lost a race against an edit on disk looks again this often. */
const ATTEMPTS = 3

/**
 * Makes uploads visible, durable and told: all of them, or after a crash all or none.
 *
 *     data synced + intent recorded -> former contents kept -> link or rename -> directory synced
 *       -> index, versions and events committed
 *
 * A power cut before the rename leaves a temporary file that `recoverUploads` discards; one after it
 * leaves an intent by which `recoverUploads` does the rest.
 */
export async function commitUploads(
  deps: CommitDeps,
  uploads: readonly TemporaryUpload[],
): Promise<readonly CommittedFile[]> {
  // Started before the locks are held: of a large file it takes long.
  const synced = Promise.all(uploads.map(({ temporary }) => temporary.handle.datasync()))
  synced.catch(() => undefined)
  const paths = uploads.map(({ temporary }) => temporary.path)
  if (new Set(paths).size < paths.length) throw new Error('one path twice in a batch')
  try {
    return await deps.locks.holdAll(paths, () => attempt(deps, uploads, synced, ATTEMPTS))
  } catch (error) {
    throw storageFault(error)
  }
}

async function attempt(
  deps: CommitDeps,
  uploads: readonly TemporaryUpload[],
  synced: Promise<unknown>,
  attempts: number,
): Promise<readonly CommittedFile[]> {
  // Awaited: while the places are closed nobody else would see it fail, which ends the process.
  const again = () => {
    if (attempts > 1) return attempt(deps, uploads, synced, attempts - 1)
    throw new BrokerError('PATH_CONFLICT', 'the file is being changed on disk at the same time')
  }
  await using places = new AsyncDisposableStack()
  const findPlace = placeFinder(places)
  const admitted = await mapSome(uploads, (upload) => admit(deps, upload, findPlace))
  // Only when all are admitted: a refused upload leaves no directory behind.
  const ready = await mapSome(admitted, async ({ place, ...rest }): Promise<Ready> => {
    const { path } = rest.temporary
    return { ...rest, place: place ?? places.use(await rest.volume.openPlace(path, 'make')) }
  }).catch(unlessRemoved)
  if (ready === undefined) return await again()
  const changing = ready.filter((upload) => !isSame(upload))
  const [batch = ''] = changing.map(({ temporary }) => temporary.id)
  await Promise.all(changing.map(({ temporary }) => keepCopy(deps, temporary)))
  await Promise.all([synced, ...changing.map((upload) => intend(deps, upload, batch))])
  const ids = changing.map(({ temporary }) => temporary.id)
  const paths = changing.map(({ temporary }) => temporary.path)
  const outcome = await deps.inFlight.during(paths, () => publish(deps, changing, ids))
  if (outcome === 'raced') return await again()
  return ready.map((upload) => outcome.get(upload.temporary.id) ?? unchanged(upload))
}

/** A directory that was just made is gone again. */
function unlessRemoved(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error
}

/** Finds the places of a batch, whose files often have one directory: one that is missing is looked for once. */
function placeFinder(places: AsyncDisposableStack) {
  const missing = new Set<string>()
  return async ({ temporary: { path }, volume }: TemporaryUpload): Promise<Place | undefined> => {
    const directory = path.slice(0, path.lastIndexOf('/') + 1)
    if (missing.has(directory)) return undefined
    const place = await volume.findPlace(path, 'write')
    if (place === undefined) missing.add(directory)
    else places.use(place)
    return place
  }
}

/** Looks and asks the guard. */
async function admit(
  deps: CommitDeps,
  upload: TemporaryUpload,
  findPlace: (upload: TemporaryUpload) => Promise<Place | undefined>,
): Promise<Admitted> {
  const { temporary, guard } = upload
  const { path } = temporary
  const place = await findPlace(upload)
  const before = await inspect(path, place, deps)
  guard(before.file, temporary)
  const admitted = { ...upload, place, before }
  temporary.share?.settle(isSame(admitted) ? undefined : temporary.size, before.entry)
  return admitted
}

/** The same content again: nothing is written and nothing told. */
function isSame({ before, temporary }: Admitted): boolean {
  return before.isTold && before.file?.sha256 === temporary.sha256
}

async function intend(deps: CommitDeps, { temporary, place }: Ready, batch: string): Promise<void> {
  const { dev, ino } = await place.directory.statOpen(temporary.handle)
  const { id, path, sha256, share } = temporary
  await deps.index.intend({ id, batch, path, dev, ino, sha256, uploader: share?.uploader })
}

/** Before the name is visible: from then on an editor may write into the file. */
async function keepCopy({ accepted }: CommitDeps, temporary: ReadyContent): Promise<void> {
  if (!accepted.judges(temporary.path)) return
  await using copy = await accepted.copy(temporary.path, temporary.handle)
  await copy.keep(temporary.sha256)
}

/**
 * From the first visible name to the commit of the index.
 *
 * @returns `raced`, with nothing changed, when a file appeared where there was none, or one or its directory
 *   was changed or removed
 */
async function publish(
  deps: CommitDeps,
  uploads: readonly Ready[],
  ids: readonly string[],
): Promise<'raced' | ReadonlyMap<string, CommittedFile>> {
  await using cleanup = new AsyncDisposableStack()
  const done: Done[] = []
  let failure: unknown
  const formers = await keepFormers(deps, uploads, cleanup).catch((error: unknown) => {
    failure = error
    return []
  })
  for (const [upload, former] of formers) {
    const before = await upload.place.directory.statOpen(upload.temporary.handle)
    try {
      await makeVisible(upload)
      former?.settle()
    } catch (error) {
      failure = error
      break
    }
    const after = await upload.place.directory.statOpen(upload.temporary.handle)
    const { path, sha256, share, version } = upload.temporary
    // An editor may write as soon as the name is visible: then it is known as it was, and the edit is found.
    const isEdited =
      after.size !== before.size || (version === undefined && after.mtimeNs !== before.mtimeNs)
    const stats = isEdited ? before : after
    const entry = { path, fingerprint: fingerprintOf(stats), sha256, uploader: share?.uploader }
    done.push({ upload, former, entry, modifiedMs: Number(stats.mtimeNs / 1_000_000n) })
  }
  await Promise.all(done.map(({ upload }) => syncDirectory(deps, upload)))
  const told = done.filter(({ upload, entry }) => upload.before.entry?.sha256 !== entry.sha256)
  const positions = await deps.index.apply({
    put: done.map(({ entry }) => entry),
    fulfil: ids,
    keep: done.flatMap(({ former }) => former?.mutation.keep ?? []),
    drop: done.flatMap(({ upload, former }) => [
      ...(former?.mutation.drop ?? []),
      ...(upload.temporary.version === undefined ? [] : [upload.temporary.version.id]),
    ]),
    changes: told.map(({ upload, entry }) => {
      const type = upload.before.entry === undefined ? 'FILE CREATED' : 'FILE UPDATED'
      return contentChange(type, entry, 'upload')
    }),
  })
  // The index counts them from here on.
  for (const { upload } of done) upload.temporary.share?.[Symbol.dispose]()
  await Promise.all(done.map(({ entry }) => deps.accepted.retain(entry.path, entry.sha256)))
  for (const { former } of done) await former?.clean()
  const positionOf = new Map(told.map(({ upload }, i) => [upload, positions[i]]))
  if (failure !== undefined) {
    if (done.length === 0 && isRace(failure)) return 'raced'
    throw failure
  }
  return new Map(
    done.map((one) => [
      one.upload.temporary.id,
      committed(one.upload, one.modifiedMs, positionOf.get(one.upload)),
    ]),
  )
}

/** All of a batch before the first is visible: a batch that is finished after a crash lacks none of them. */
async function keepFormers(
  { keeper }: CommitDeps,
  uploads: readonly Ready[],
  cleanup: AsyncDisposableStack,
): Promise<readonly (readonly [Ready, FormerContent | undefined])[]> {
  const outcomes = await Promise.allSettled(
    uploads.map(async (upload) => {
      const { temporary, volume, place, before } = upload
      const { id, version: successor } = temporary
      const { entry, isTold } = before
      const former =
        entry && isTold ? await keeper.link({ id, volume, place, entry, successor }) : undefined
      return [upload, former && cleanup.use(former)] as const
    }),
  )
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}

function isRace(failure: unknown): boolean {
  if (failure instanceof BrokerError) return failure.code === 'PATH_CONFLICT'
  return ['EEXIST', 'ENOENT'].includes(errorCode(failure) ?? '')
}

/**
 * The one step that readers see. Where there was no file it is a `link`, which fails when one appeared
 * since: the only way in Node to create and never to replace.
 */
async function makeVisible({ temporary, place, before, volume }: Ready): Promise<void> {
  const target = place.file
  if (before.stats === undefined) {
    await link(temporary.file, target)
    await unlink(temporary.file)
  } else {
    // What an operator set on a single served file, the users file, is kept: it may be private.
    if (volume.only !== undefined) await temporary.handle.chmod(Number(before.stats.mode & 0o777n))
    await rename(temporary.file, target)
  }
  temporary.keep()
  if (temporary.version === undefined) return
  // As new as an upload, for caches that ask by date; of a file of somebody else it cannot be changed.
  const now = new Date()
  await temporary.handle.utimes(now, now).catch(() => undefined)
}

function syncDirectory({ directorySync }: CommitDeps, { temporary, place }: Ready): Promise<void> {
  const key = temporary.path.slice(0, -place.name.length)
  return directorySync.sync(key, () => place.directory.sync())
}

function unchanged(upload: Ready): CommittedFile {
  return committed(upload, upload.before.file?.modifiedMs ?? 0, undefined)
}

function committed(
  { temporary, before }: Ready,
  modifiedMs: number,
  position: string | undefined,
): CommittedFile {
  const { path, size, sha256 } = temporary
  const created = before.file === undefined
  return { path, size, sha256, etag: entityTagOf(sha256), modifiedMs, created, position }
}
