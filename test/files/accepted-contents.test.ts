import assert from 'node:assert/strict'
import { open, readdir, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ContentValidator } from '../../src/files/content-validator.ts'
import { entriesOf } from '../../src/files/store/serve-links.ts'
import { pathOf } from '../contract/file-index.ts'
import { put, read } from '../contract/file-store.ts'
import { openDiskStore } from './support-store.ts'

/** Accepts everything below `judged/`. */
const ACCEPTING: ContentValidator = {
  matches: (path) => path.startsWith('judged/'),
  validate: async () => [],
}

async function openJudgedStore() {
  const subject = await openDiskStore({ validators: [ACCEPTING] })
  const accepted = join(subject.directory, 'data/state/volumes/default/accepted')
  const [volume] = subject.volumes.all
  assert.ok(volume)
  return {
    ...subject,
    accepted,
    /** Names of all copies, those on their way too. */
    copies: async () =>
      (await readdir(accepted, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map(({ name }) => name),
    sweep: () => subject.store.accepted.sweep(volume, entriesOf(subject.index, '')),
  }
}

test('of a judged file one copy is kept, and none when it is deleted', async () => {
  await using subject = await openJudgedStore()
  const { store } = subject
  await put(store, 'elsewhere', 'one')
  const first = await put(store, 'judged/a', 'one')
  assert.deepEqual(await subject.copies(), [first.sha256])
  const second = await put(store, 'judged/a', 'two')
  assert.deepEqual(await subject.copies(), [second.sha256])
  await store.delete(pathOf('judged/a'), () => undefined)
  assert.deepEqual(await subject.copies(), [])
})

test('an upload that is refused by its guard leaves no copy', async () => {
  await using subject = await openJudgedStore()
  const { sha256 } = await put(subject.store, 'judged/a', 'one')
  const refuse = () => {
    throw new Error('refused')
  }
  await assert.rejects(put(subject.store, 'judged/a', 'two', refuse), /refused/)
  assert.deepEqual(await subject.copies(), [sha256])
})

test('a file that is cut while it is copied is copied as far as it goes', async () => {
  await using subject = await openJudgedStore()
  const file = join(subject.directory, 'large')
  const size = 2 ** 30
  await writeFile(file, '')
  await truncate(file, size)
  await using handle = await open(file)
  const copying = subject.store.accepted.copy(pathOf('judged/a'), handle)
  await truncate(file, 0)
  await using copy = await copying
  assert.ok((await stat(copy.file)).size < size)
})

test('what a crash has left is swept, and files without a copy are named', async () => {
  await using subject = await openJudgedStore()
  const { store, accepted } = subject
  const { sha256 } = await put(store, 'judged/a', 'one')
  const [of = ''] = await readdir(accepted)
  await writeFile(join(accepted, 'a-copy-on-its-way'), 'x')
  await writeFile(join(accepted, of, 'f'.repeat(64)), 'kept, and never told')
  assert.deepEqual(await subject.sweep(), [])
  assert.deepEqual(await subject.copies(), [sha256])
  const [volume] = subject.volumes.all
  assert.ok(volume)
  await store.accepted.sweep(volume, [])
  assert.deepEqual(await subject.copies(), [])
  assert.deepEqual(await subject.sweep(), ['judged/a'])
})

test('without a copy nothing is served that was not accepted, and with it the accepted', async () => {
  await using subject = await openJudgedStore()
  const { store, files } = subject
  await put(store, 'judged/a', 'one')
  await writeFile(join(files, 'judged/a'), 'by hand')
  assert.equal(String(await read(store, 'judged/a')), 'one')
  const [volume] = subject.volumes.all
  assert.ok(volume)
  await store.accepted.sweep(volume, [])
  assert.equal(await read(store, 'judged/a'), undefined)
})
