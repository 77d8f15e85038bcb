import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LIMITS, FilePolicy, type VolumeLimits } from '../../src/files/file-policy.ts'
import type { FileIndex } from '../../src/files/index/file-index.ts'
import { PathLocks } from '../../src/files/path-locks.ts'
import { DiskFileStore, type DiskFileStoreDeps } from '../../src/files/store/disk-file-store.ts'
import { ContentHasher } from '../../src/files/uploads/content-hasher.ts'
import { Volume } from '../../src/files/volumes/volume.ts'
import { Volumes } from '../../src/files/volumes/volumes.ts'
import type { Timers } from '../../src/files/watch/watch-timers.ts'
import type { IndexUnderTest } from '../contract/file-index.ts'
import type { StoreOptions, StoreUnderTest } from '../contract/file-store.ts'
import { openMemoryIndex } from './support-index.ts'

export interface DiskStoreUnderTest extends StoreUnderTest {
  readonly store: DiskFileStore
  readonly index: FileIndex
  readonly volumes: Volumes
  readonly locks: PathLocks
  /** A directory of the test alone; the volume is `files` in it. */
  readonly directory: string
  readonly files: string
  readonly usersFile: string
}

export interface DiskStoreOptions extends StoreOptions {
  readonly limits?: Partial<VolumeLimits>
  /** Instead of `limits`. */
  readonly policy?: FilePolicy
  readonly now?: () => number
  readonly timers?: Timers
  readonly withConfig?: boolean
  readonly index?: IndexUnderTest
  readonly reconcile?: DiskFileStoreDeps['reconcile']
  readonly untoldDeleted?: DiskFileStoreDeps['untoldDeleted']
}

/** The default volume in `data/files`, and `config` for `users.xml` when it is wanted. */
export async function volumesIn(directory: string, withConfig = false): Promise<Volumes> {
  const state = join(directory, 'data', 'state', 'volumes')
  const main = await Volume.open({
    name: 'default',
    prefix: '',
    directory: join(directory, 'data', 'files'),
    stateDirectory: join(state, 'default'),
  })
  if (!withConfig) return new Volumes([main])
  const config = await Volume.open({
    name: 'config',
    prefix: 'config',
    directory,
    stateDirectory: join(state, 'config'),
    only: { name: 'broker_users.xml', file: join(directory, 'users.xml') },
  })
  return new Volumes([main, config])
}

/** A store over real directories, with an index in memory unless another is given. */
export async function openDiskStore(options: DiskStoreOptions = {}): Promise<DiskStoreUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  const { index, told, ...under } = options.index ?? (await openMemoryIndex())
  const volumes = await volumesIn(directory, options.withConfig)
  const locks = new PathLocks()
  const hasher = new ContentHasher(1)
  const { validators, reconcile, untoldDeleted, maxFileBytes, limits, timers, now } = options
  const { policy = new FilePolicy({ ...DEFAULT_LIMITS, freeBytes: 0, ...limits }, []) } = options
  const store = new DiskFileStore(
    {
      volumes,
      index,
      locks,
      hasher,
      policy,
      ...(validators !== undefined && { validators }),
      ...(reconcile !== undefined && { reconcile }),
      untoldDeleted,
      ...(now !== undefined && { now }),
    },
    {
      ...(maxFileBytes !== undefined && { maxFileBytes }),
      ...(timers !== undefined && { timers }),
    },
  )
  return {
    store,
    index,
    volumes,
    locks,
    directory,
    files: join(directory, 'data', 'files'),
    usersFile: join(directory, 'users.xml'),
    told,
    leftovers: () => leftoversIn(directory, index),
    async [Symbol.asyncDispose]() {
      await store.close()
      await hasher.close()
      await under[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Temporary files, hidden ones in the volume, and intents that are still open. */
export async function leftoversIn(directory: string, index: FileIndex): Promise<string[]> {
  const found: string[] = (await index.openIntents()).map(({ id }) => `intent ${id}`)
  const state = join(directory, 'data', 'state', 'volumes')
  for (const volume of await readdir(state)) {
    found.push(...(await readdir(join(state, volume, 'temp'))))
  }
  for (const entry of await readdir(join(directory, 'data', 'files'), { recursive: true })) {
    if (/(^|\/)\.broker-/.test(entry) && entry !== '.broker-volume') found.push(entry)
  }
  return found
}
