import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { FileChange } from '../../src/files/file-change.ts'
import { fingerprintOf } from '../../src/files/fingerprint.ts'
import { recoverUploads } from '../../src/files/uploads/recover-uploads.ts'
import { pathOf } from '../contract/file-index.ts'
import { sha256 } from '../contract/file-store.ts'
import { openSqliteIndex } from './support-index.ts'
import { leftoversIn, volumesIn } from './support-store.ts'

const ROUNDS = process.env['SOAK'] === '1' ? 200 : 10

type Files = readonly (readonly [path: string, sha256: string])[]
type Line = { readonly intends: Files } | { readonly stored: Files }

test('a broker that is killed over and over loses nothing, halves nothing and tells once', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    const acknowledged = new Map<string, string>()
    for (let round = 0; round < ROUNDS; round += 1) {
      const open = await uploadUntilKilled(directory, round, acknowledged)
      await assertWhole(directory, acknowledged, open)
    }
    assert.ok(acknowledged.size > ROUNDS)
  } finally {
    await rm(directory, { recursive: true })
  }
})

/** @returns what was intended last by each writer and not acknowledged */
async function uploadUntilKilled(
  directory: string,
  round: number,
  acknowledged: Map<string, string>,
): Promise<readonly Files[]> {
  const script = fileURLToPath(new URL('./support-upload-loop.ts', import.meta.url))
  const child = spawn(process.execPath, [script, directory, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const open = new Map<string, Files>()
  let [lines, killAt] = [0, 15 + ((round * 37) % 90)]
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as Line
    const files = 'intends' in line ? line.intends : line.stored
    const key = JSON.stringify(files)
    if ('intends' in line) {
      open.set(key, files)
    } else {
      open.delete(key)
      for (const [path, digest] of files) acknowledged.set(path, digest)
    }
    if (++lines === killAt) child.kill('SIGKILL')
  }
  await exited
  return [...open.values()]
}

async function assertWhole(
  directory: string,
  acknowledged: Map<string, string>,
  open: readonly Files[],
): Promise<void> {
  await using under = await openSqliteIndex(join(directory, 'broker.db'))
  const { index } = under
  await recoverUploads(await volumesIn(directory), index)
  assert.deepEqual(await leftoversIn(directory, index), [])

  const onDisk = await digestsOnDisk(join(directory, 'data', 'files'))
  const inIndex = await index.below('', '', 1_000_000)
  assert.deepEqual(inIndex.map(({ path }) => path).sort(), [...onDisk.keys()].sort())
  for (const { path, fingerprint, sha256: digest } of inIndex) {
    assert.equal(digest, onDisk.get(path), path)
    const stats = await lstat(join(directory, 'data', 'files', path), { bigint: true })
    assert.deepEqual(fingerprint, fingerprintOf(stats), path)
  }
  assert.deepEqual(fold(await under.told()), onDisk)

  for (const files of open) {
    const isNew = files.map(([path, digest]) => onDisk.get(path) === digest)
    assert.equal(new Set(isNew).size, 1, 'a batch was stored in part')
    // What was on its way may have arrived; from now on it counts.
    if (isNew[0]) for (const [path, digest] of files) acknowledged.set(path, digest)
  }
  for (const [path, digest] of acknowledged) assert.equal(onDisk.get(path), digest, path)
}

async function digestsOnDisk(files: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(files, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith('.')) continue
    const file = join(entry.parentPath, entry.name)
    found.set(pathOf(file.slice(files.length + 1)), sha256(await readFile(file)))
  }
  return new Map([...found].sort())
}

/** The state that the events tell, where each of them must be a change. */
function fold(changes: readonly FileChange[]): Map<string, string> {
  const state = new Map<string, string>()
  for (const { type, path, sha256: digest } of changes) {
    assert.equal(type, state.has(path) ? 'FILE UPDATED' : 'FILE CREATED', path)
    assert.notEqual(state.get(path), digest, path)
    state.set(path, digest)
  }
  return new Map([...state].sort())
}
