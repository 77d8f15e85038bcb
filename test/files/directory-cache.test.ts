import assert from 'node:assert/strict'
import { mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { put, read } from '../contract/file-store.ts'
import { openDiskStore } from './support-store.ts'

test('a directory that was used a moment ago and moved since is not written to', async () => {
  await using subject = await openDiskStore()
  const { store, files, directory } = subject
  await put(store, 'd/e/one', '1')
  await rename(join(files, 'd'), join(directory, 'moved'))
  await put(store, 'd/e/two', '2')
  assert.equal(await readFile(join(files, 'd', 'e', 'two'), 'utf8'), '2')
  assert.equal(await read(store, 'd/e/one'), undefined)
})

test('a directory that was replaced by a link to itself is not written to', async () => {
  await using subject = await openDiskStore()
  const { store, files, directory } = subject
  await put(store, 'd/e/one', '1')
  await rename(join(files, 'd'), join(directory, 'moved'))
  await symlink(join(directory, 'moved'), join(files, 'd'))
  await assert.rejects(put(store, 'd/e/two', '2'), { code: 'PATH_CONFLICT' })
  assert.equal(await read(store, 'd/e/one'), undefined)
})

test('a directory that was removed and made again is written to', async () => {
  await using subject = await openDiskStore()
  const { store, files } = subject
  await put(store, 'd/one', '1')
  await rm(join(files, 'd'), { recursive: true })
  await mkdir(join(files, 'd'))
  await put(store, 'd/two', '2')
  assert.equal(await readFile(join(files, 'd', 'two'), 'utf8'), '2')
})
