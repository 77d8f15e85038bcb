import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_LIMITS, FilePolicy } from '../../src/files/file-policy.ts'
import { PathLocks } from '../../src/files/path-locks.ts'
import { DiskFileStore } from '../../src/files/store/disk-file-store.ts'
import { ContentHasher } from '../../src/files/uploads/content-hasher.ts'
import { recoverUploads } from '../../src/files/uploads/recover-uploads.ts'
import { Volume } from '../../src/files/volumes/volume.ts'
import { Volumes } from '../../src/files/volumes/volumes.ts'
import { pathOf } from '../contract/file-index.ts'
import { allow, names, put, read } from '../contract/file-store.ts'
import { openMemoryIndex } from './support-index.ts'

const SHM = '/dev/shm'
const HAS_OTHER_DEVICE = existsSync(SHM) && statSync(SHM).dev !== statSync(tmpdir()).dev

test('where the state is on another device, versions lie hidden in the volume', {
  skip: !HAS_OTHER_DEVICE,
}, async () => {
  await using cleanup = new AsyncDisposableStack()
  const temporary = async (parent: string) =>
    cleanup.adopt(await mkdtemp(join(parent, 'broker-')), (path) => rm(path, { recursive: true }))
  const directory = await temporary(tmpdir())
  const stateDirectory = await temporary(SHM)
  const volume = await Volume.open({ name: 'default', prefix: '', directory, stateDirectory })
  const volumes = new Volumes([volume])
  const { index } = await openMemoryIndex()
  const hasher = cleanup.use(new ContentHasher(1))
  const policy = new FilePolicy(DEFAULT_LIMITS, [{ globs: ['**'], versions: {} }])
  const deps = { volumes, index, hasher, policy, locks: new PathLocks() }
  const store = cleanup.use(new DiskFileStore(deps))
  await put(store, 'd/x', 'one')
  await put(store, 'd/x', 'two')
  await store.delete(pathOf('d/x'), () => undefined)
  await recoverUploads(volumes, index)
  const versions = await store.history.versions(pathOf('d/x'))
  assert.equal(versions.length, 2)
  const isVersion = (name: string) => name.startsWith('.broker-version-')
  assert.equal((await readdir(directory)).filter(isVersion).length, 2)
  assert.deepEqual(await names(store, ''), ['d'])
  const options = { guard: allow, confirmShrink: false, uploader: '' }
  await store.history.restore(pathOf('d/x'), versions[1]?.id ?? '', options)
  assert.equal(await read(store, 'd/x'), 'one')
  assert.equal((await readdir(directory)).filter(isVersion).length, 1)
})
