import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathOf } from '../contract/file-index.ts'
import { put } from '../contract/file-store.ts'
import { openDiskStore } from './support-store.ts'

async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

test('an upload that loses its place to a file and then to a directory is refused, and that is all', async (t) => {
  let file = ''
  await using subject = await openDiskStore({
    // Looked at because of the file, which is none any more.
    reconcile: async () => {
      rmSync(file)
      mkdirSync(file)
    },
  })
  file = join(subject.files, 'x')
  const volume = subject.volumes.of(pathOf('x')) ?? assert.fail()
  const findPlace = volume.findPlace.bind(volume)
  let isFirst = true
  t.mock.method(volume, 'findPlace', async (...args: Parameters<typeof findPlace>) => {
    const place = (await findPlace(...args)) ?? assert.fail()
    if (!isFirst) return place
    isFirst = false
    const close = place[Symbol.asyncDispose].bind(place)
    // Of a slow disk: what was opened first is closed after the upload was refused.
    const closeLate = { value: () => someTurns().then(close) }
    return Object.defineProperty(place, Symbol.asyncDispose, closeLate)
  })
  let looks = 0
  const guard = () => {
    looks += 1
    if (looks === 1) writeFileSync(file, 'of somebody else')
  }
  // A failure that nobody waits for would end the process, and this test.
  await assert.rejects(put(subject.store, 'x', 'uploaded', guard), { code: 'PATH_CONFLICT' })
})
