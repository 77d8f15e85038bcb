import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfinedDirectory } from '../../src/files/volumes/confined-directory.ts'
import { isLocal } from '../../src/files/volumes/local-file-system.ts'

const canTell = process.platform === 'linux' && (await isLocal('/'))

test('what is mounted below a local file system is not taken for local', {
  skip: !canTell,
}, async () => {
  await using root = await ConfinedDirectory.openRoot('/', true)
  await using mounted = await root.openChild('proc')
  assert.equal(root.answersAtOnce, true)
  assert.equal(mounted.answersAtOnce, false)
  assert.equal((await mounted.stat('self'))?.isSymbolicLink(), true)
  assert.equal(await mounted.stat('nothing'), undefined)
})
