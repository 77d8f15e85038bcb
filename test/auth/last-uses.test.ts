import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LastUses } from '../../src/auth/credentials/last-uses.ts'

const JENKINS = { kind: 'token', value: 'a'.repeat(64) } as const
const ANN = { kind: 'token', value: 'b'.repeat(64) } as const

async function setUp() {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  const path = join(directory, 'last-uses.json')
  const failures: unknown[] = []
  const clock = { ms: 1_000_000 }
  return {
    ...{ directory, path, failures, clock },
    open: () =>
      LastUses.open({ path, now: () => clock.ms, onFailure: (error) => failures.push(error) }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

test('times outlive the process, in a file for the broker alone', async () => {
  await using place = await setUp()
  {
    await using uses = await place.open()
    assert.equal(uses.of(JENKINS), undefined)
    uses.mark(JENKINS)
    place.clock.ms += 5
    uses.mark(ANN)
  }
  assert.equal((await stat(place.path)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(place.directory), ['last-uses.json'])
  await using uses = await place.open()
  assert.deepEqual([uses.of(JENKINS), uses.of(ANN)], [1_000_000, 1_000_005])
  uses.retain([ANN])
  assert.deepEqual([uses.of(JENKINS), uses.of(ANN)], [undefined, 1_000_005])
})

test('nothing is written when nothing was used', async () => {
  await using place = await setUp()
  await (await place.open()).close()
  assert.deepEqual(await readdir(place.directory), [])
})

test('a damaged file is one without times', async () => {
  await using place = await setUp()
  for (const text of ['', 'null', '[1]', '{"token x":"y","token z":1.5}', '{"token']) {
    await writeFile(place.path, text)
    await using uses = await place.open()
    assert.equal(uses.of(JENKINS), undefined)
  }
})

test('what could not be written is told, and written the next time', async () => {
  await using place = await setUp()
  await using uses = await place.open()
  uses.mark(JENKINS)
  await rm(place.directory, { recursive: true })
  await uses.write()
  assert.equal(place.failures.length, 1)
  await mkdir(place.directory)
  await uses.write()
  assert.match(await readFile(place.path, 'utf8'), /1000000/)
})
