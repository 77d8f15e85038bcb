import { randomUUID } from 'node:crypto'
import { readdir, rmdir, unlink } from 'node:fs/promises'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { contentChange } from '../content-change.ts'
import type { CommitDeps } from '../uploads/commit-uploads.ts'
import type { ConfinedDirectory } from '../volumes/confined-directory.ts'
import type { Volume } from '../volumes/volume.ts'
import type { DeletedFile, DeleteGuard } from './file-store.ts'
import { errorCode } from './storage-fault.ts'
import { inspect, isServable } from './visible-file.ts'

/**
 * Removes a file and tells it; the caller holds the lock of the path. After a crash in between, the next
 * start tells it: `recoverVersions` where its content is kept, else the scan.
 *
 * @returns undefined when there is no such file
 */
export async function deleteFile(
  deps: CommitDeps,
  volume: Volume,
  path: FilePath,
  guard: DeleteGuard,
): Promise<DeletedFile | undefined> {
  await using place = await volume.findPlace(path, 'write')
  const found = await place?.stat()
  if (found !== undefined && !isServable(found, deps.ownLinks)) return undefined
  const { file, entry, isTold } = await inspect(path, place, deps)
  if (place === undefined || file === undefined) return undefined
  guard(file, isTold)
  if (volume.only !== undefined) {
    throw new BrokerError('READ_ONLY', 'this file can be replaced and not deleted')
  }
  // A content that was never told, or was refused, is none that could be brought back.
  await using former =
    entry && isTold ? await deps.keeper.take({ id: randomUUID(), volume, place, entry }) : undefined
  if (former === undefined) await unlink(place.file)
  former?.settle()
  const key = path.slice(0, -place.name.length)
  await deps.directorySync.sync(key, () => place.directory.sync())
  if (entry === undefined) {
    deps.untoldDeleted?.(path, file.size)
    return { path, position: undefined }
  }
  const changes = [contentChange('FILE DELETED', entry, 'upload')]
  const [position] = await deps.index.apply({ remove: [path], ...former?.mutation, changes })
  await former?.clean()
  await deps.accepted.retain(path, undefined)
  return { path, position }
}

/** Removes a directory and those below it as far as they are empty, hidden files included. */
export async function pruneDirectory(volume: Volume, segments: readonly string[]): Promise<void> {
  const name = segments.at(-1)
  if (name === undefined) return
  try {
    await using parent = await volume.openDirectory(segments.slice(0, -1))
    await prune(parent, name)
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) throw error
  }
}

async function prune(parent: ConfinedDirectory, name: string): Promise<void> {
  {
    await using directory = await parent.openChild(name)
    for (const child of await readdir(directory.path, { withFileTypes: true })) {
      if (child.isDirectory()) await prune(directory, child.name)
    }
  }
  try {
    await rmdir(parent.at(name))
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(errorCode(error) ?? '')) throw error
  }
}
