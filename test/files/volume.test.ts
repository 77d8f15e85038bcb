import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Volume } from '../../src/files/volumes/volume.ts'
import { pathOf } from '../contract/file-index.ts'
import { put, read } from '../contract/file-store.ts'
import { openDiskStore, volumesIn } from './support-store.ts'

async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'broker-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

function optionsIn(path: string) {
  const [directory, stateDirectory] = [join(path, 'files'), join(path, 'state')]
  return { name: 'default', prefix: '', directory, stateDirectory }
}

test('a path belongs to the volume of its first segment, or else to the default one', async () => {
  await using directory = await temporaryDirectory()
  const volumes = await volumesIn(directory.path, true)
  const of = (path: string) => volumes.of(pathOf(path))?.name
  assert.equal(of('config/broker_users.xml'), 'config')
  assert.equal(of('configuration'), 'default')
  assert.equal(of('a/config'), 'default')
  assert.equal(of('config'), 'config')
})

test('the config volume serves one file and nothing else', async () => {
  await using directory = await temporaryDirectory()
  const config = (await volumesIn(directory.path, true)).at('config')
  assert.deepEqual(config?.segmentsOf(pathOf('config/broker_users.xml')), ['broker_users.xml'])
  for (const path of ['config', 'config/users.xml', 'config/broker_users.xml/x', 'config/.x']) {
    assert.equal(config?.segmentsOf(pathOf(path)), undefined, path)
  }
})

test('a volume is offline while its directory is missing, empty or another one', async () => {
  await using directory = await temporaryDirectory()
  const options = optionsIn(directory.path)
  const volume = await Volume.open(options)
  assert.equal(await volume.isOnline(), true)
  await rename(options.directory, `${options.directory}.away`)
  assert.equal(await volume.isOnline(), false)
  await mkdir(options.directory)
  assert.equal(await volume.isOnline(), false)
  assert.equal(await (await Volume.open(options)).isOnline(), false)
  await writeFile(join(options.directory, '.broker-volume'), 'another\n')
  assert.equal(await volume.isOnline(), false)
  await rm(options.directory, { recursive: true })
  await rename(`${options.directory}.away`, options.directory)
  assert.equal(await volume.isOnline(), true)
  assert.equal(await (await Volume.open(options)).isOnline(), true)
})

test('a volume keeps the id of its directory when the state is new', async () => {
  await using directory = await temporaryDirectory()
  const options = optionsIn(directory.path)
  await Volume.open(options)
  const marker = await readFile(join(options.directory, '.broker-volume'), 'utf8')
  await rm(options.stateDirectory, { recursive: true })
  assert.equal(await (await Volume.open(options)).isOnline(), true)
  assert.equal(await readFile(join(options.stateDirectory, 'volume-id'), 'utf8'), marker)
})

test('nothing is read from or written to a volume that is offline', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'x', 'one')
  await rename(subject.files, `${subject.files}.away`)
  for (const prepare of [async () => undefined, () => mkdir(subject.files)]) {
    await prepare()
    await assert.rejects(put(subject.store, 'y', 'two'), { code: 'UNAVAILABLE' })
    await assert.rejects(put(subject.store, 'd/y', 'two'), { code: 'UNAVAILABLE' })
    await assert.rejects(subject.store.open(pathOf('x')), { code: 'UNAVAILABLE' })
    await assert.rejects(
      subject.store.delete(pathOf('x'), () => undefined),
      { code: 'UNAVAILABLE' },
    )
  }
  await rm(subject.files, { recursive: true })
  await rename(`${subject.files}.away`, subject.files)
  assert.equal(await read(subject.store, 'x'), 'one')
  assert.equal((await subject.told()).length, 1)
})

test('only links to serve may be reached by another user', async () => {
  await using directory = await temporaryDirectory()
  const { stateDirectory } = optionsIn(directory.path)
  await Volume.open(optionsIn(directory.path))
  const mode = async (path: string) => (await stat(join(stateDirectory, path))).mode & 0o777
  assert.equal(await mode('.'), 0o711)
  assert.equal(await mode('serve'), 0o711)
  assert.equal(await mode('temp'), 0o700)
  assert.equal(await mode('volume-id'), 0o600)
})

test('files have the mode that any program would give them', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'x', 'one')
  const mode = (await stat(join(subject.files, 'x'))).mode & 0o777
  assert.equal(mode, 0o666 & ~process.umask())
})

test('the users file is replaced where its link leads, and keeps its mode', async () => {
  await using subject = await openDiskStore({ withConfig: true })
  const real = join(subject.directory, 'elsewhere', 'real.xml')
  await mkdir(join(subject.directory, 'elsewhere'))
  await writeFile(real, 'old', { mode: 0o640 })
  await symlink(join('elsewhere', 'real.xml'), subject.usersFile)
  assert.equal(await read(subject.store, 'config/broker_users.xml'), 'old')
  await put(subject.store, 'config/broker_users.xml', 'new')
  assert.equal(await readFile(real, 'utf8'), 'new')
  assert.equal((await stat(real)).mode & 0o777, 0o640)
  assert.deepEqual(await subject.leftovers(), [])
  await assert.rejects(put(subject.store, 'config/other.xml', 'x'), { code: 'PATH_INVALID' })
  await assert.rejects(
    subject.store.delete(pathOf('config/broker_users.xml'), () => undefined),
    { code: 'READ_ONLY' },
  )
})

test('an upload that would use up the space to stay free is STORAGE_FULL', async () => {
  await using subject = await openDiskStore({ limits: { freeBytes: 2 ** 52 } })
  const message = 'less than 4294967296 MiB would stay free on the disk'
  await assert.rejects(put(subject.store, 'x', 'one'), { code: 'STORAGE_FULL', message })
  await assert.rejects(put(subject.store, 'x', Buffer.alloc(700_000)), { code: 'STORAGE_FULL' })
  assert.deepEqual(await subject.leftovers(), [])
})
