import assert from 'node:assert/strict'
import { utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_LIMITS, FilePolicy } from '../../src/files/file-policy.ts'
import { Retention } from '../../src/files/history/retention.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { pathOf } from '../contract/file-index.ts'
import { names, put, read, types } from '../contract/file-store.ts'
import { openDiskStore } from './support-store.ts'

const HOUR = 3_600_000
const POLICY = new FilePolicy(DEFAULT_LIMITS, [
  { globs: ['keep/**'], retainMs: Number.POSITIVE_INFINITY },
  { globs: ['logs/**', 'keep/**'], retainMs: HOUR, undeleteMs: HOUR },
])
const { signal } = new AbortController()
const everything = () => true
const inTwoHours = () => Date.now() + 2 * HOUR

test('files that were not written for as long as they are retained are deleted and told', async () => {
  await using subject = await openDiskStore({ policy: POLICY })
  const { store, index } = subject
  for (const path of ['keep/x', 'logs/a', 'logs/d/b', 'other']) await put(store, path, path)
  const deps = { store, index, policy: POLICY, mayDelete: everything }
  assert.equal(await new Retention(deps).sweep(signal), 0)
  assert.equal(await new Retention({ ...deps, now: inTwoHours }).sweep(signal), 2)
  assert.deepEqual(await names(store, '', { recursive: true }), ['keep/x', 'other'])
  const deleted = (await subject.told()).slice(4)
  assert.deepEqual(deleted.map(({ path }) => path).sort(), ['logs/a', 'logs/d/b'])
  assert.ok(deleted.every(({ type, origin }) => type === 'FILE DELETED' && origin === 'upload'))
  const [version] = await store.history.versions(pathOf('logs/a'))
  assert.equal(version?.deleted, true)
})

test('a file that is written, or read again from its past, between the look and the delete stays', async () => {
  await using subject = await openDiskStore({ policy: POLICY })
  const { store, index } = subject
  for (const path of ['logs/a', 'logs/b']) await put(store, path, path)
  const meddling: Pick<typeof store, 'delete'> = {
    delete: async (path, guard) => {
      if (path === 'logs/a') await put(store, path, 'new')
      return store.delete(path, guard)
    },
  }
  const deps = { store: meddling, index, policy: POLICY, mayDelete: everything, now: inTwoHours }
  assert.equal(await new Retention(deps).sweep(signal), 1)
  assert.equal(await read(store, 'logs/a'), 'new')
  assert.equal(await read(store, 'logs/b'), undefined)
})

test('an edit on disk that nobody told yet keeps the file', async () => {
  await using subject = await openDiskStore({ policy: POLICY })
  const { store, index } = subject
  await put(store, 'logs/a', 'old')
  await writeFile(join(subject.files, 'logs/a'), 'edited')
  const deps = { store, index, policy: POLICY, mayDelete: everything, now: inTwoHours }
  assert.equal(await new Retention(deps).sweep(signal), 0)
  assert.equal(await read(store, 'logs/a'), 'edited')
})

test('what counts is when the content was written, as listings show it', async () => {
  await using subject = await openDiskStore({ policy: POLICY })
  const { store, index } = subject
  await put(store, 'logs/a', 'a')
  const [entry] = await index.below('', '', 1)
  assert.ok(entry)
  const [file, longAgo] = [join(subject.files, 'logs/a'), new Date(Date.now() - 2 * HOUR)]
  await utimes(file, longAgo, longAgo)
  const deps = { store, index, policy: POLICY, mayDelete: everything }
  // Not told yet: what the index knows is young.
  assert.equal(await new Retention(deps).sweep(signal), 0)
})

test('one that cannot be deleted does not keep the others, an offline volume ends the sweep', async () => {
  await using subject = await openDiskStore({ policy: POLICY })
  const { store, index } = subject
  for (const path of ['logs/a', 'logs/b', 'logs/c']) await put(store, path, path)
  const failing = (code: 'READ_ONLY' | 'UNAVAILABLE'): Pick<typeof store, 'delete'> => ({
    delete: async (path, guard) => {
      if (path === 'logs/a') throw new BrokerError(code, 'no')
      return store.delete(path, guard)
    },
  })
  const deps = { index, policy: POLICY, mayDelete: everything, now: inTwoHours }
  const readOnly = new Retention({ ...deps, store: failing('READ_ONLY') })
  await assert.rejects(readOnly.sweep(signal), { code: 'READ_ONLY' })
  assert.deepEqual(await names(store, 'logs'), ['a'])
  const offline = new Retention({ ...deps, store: failing('UNAVAILABLE') })
  await assert.rejects(offline.sweep(signal), { code: 'UNAVAILABLE' })
  assert.deepEqual(types(await subject.told()).slice(3), ['FILE DELETED', 'FILE DELETED'])
})

test('what may not be deleted is left out, and a sweep that is aborted deletes nothing', async () => {
  await using subject = await openDiskStore({ policy: POLICY })
  const { store, index } = subject
  await put(store, 'logs/a', 'a')
  const deps = { store, index, policy: POLICY, now: inTwoHours }
  assert.equal(await new Retention({ ...deps, mayDelete: () => false }).sweep(signal), 0)
  const aborted = new Retention({ ...deps, mayDelete: everything })
  assert.equal(await aborted.sweep(AbortSignal.abort()), 0)
})
