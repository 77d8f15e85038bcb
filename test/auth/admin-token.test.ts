import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  AdminTokenFile,
  adminTokenPath,
  createAdminToken,
} from '../../src/auth/credentials/admin-token.ts'
import { hasTokenChecksum, tokenHash } from '../../src/auth/credentials/tokens.ts'
import { openTicketKey } from '../../src/auth/tickets/ticket-key.ts'

async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'broker-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

test('the administrator token is made once, for its owner to read alone', async () => {
  await using directory = await temporaryDirectory()
  const path = adminTokenPath(join(directory.path, 'data'))
  assert.equal(await createAdminToken(path), true)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  const token = (await readFile(path, 'utf8')).trim()
  assert.ok(hasTokenChecksum(token))
  assert.equal(await createAdminToken(path), false)
  assert.equal((await readFile(path, 'utf8')).trim(), token)
  using file = AdminTokenFile.open(path)
  assert.equal(file.hash(), tokenHash(token))
})

test('an empty file is no token, and is replaced by one', async () => {
  await using directory = await temporaryDirectory()
  const path = adminTokenPath(directory.path)
  await writeFile(path, '\n'.repeat(40))
  using file = AdminTokenFile.open(path)
  assert.equal(file.hash(), undefined)
  assert.equal(await createAdminToken(path), true)
  assert.notEqual(file.hash(), undefined)
})

test('a file that was deleted or replaced counts at once, and listeners are told', async () => {
  await using directory = await temporaryDirectory()
  const path = adminTokenPath(directory.path)
  await createAdminToken(path)
  using file = AdminTokenFile.open(path, 5)
  const told = () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    file.onChange(resolve)
    return promise
  }
  const replaced = told()
  await writeFile(path, 'x'.repeat(40))
  assert.equal(file.hash(), tokenHash('x'.repeat(40)))
  await replaced
  const deleted = told()
  await rm(path)
  assert.equal(file.hash(), undefined)
  await deleted
})

test('the ticket key is made once, for its owner to read alone', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'state', 'ticket.key')
  const [a, b] = await Promise.all([openTicketKey(path), openTicketKey(path)])
  assert.equal(a.length, 32)
  assert.deepEqual(a, b)
  assert.deepEqual(await openTicketKey(path), a)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})

test('a ticket key that was deleted is another at the next start', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'ticket.key')
  const before = await openTicketKey(path)
  await rm(path)
  assert.notDeepEqual(await openTicketKey(path), before)
})

test('a ticket key of another length is refused', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'ticket.key')
  await writeFile(path, 'short')
  await assert.rejects(openTicketKey(path), /32 bytes/)
})
