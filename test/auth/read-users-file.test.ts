import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { parseUsersFile } from '../../src/auth/users-file/parse-users-file.ts'
import { readUsersFile } from '../../src/auth/users-file/read-users-file.ts'
import { NOW_MS, usersXml } from './users-fixture.ts'

const RULES = { nowMs: NOW_MS, hasAdminToken: true }

function manyUsers(count: number, last = ''): Buffer {
  const users = Array.from({ length: count }, (_, i) => {
    const sha256 = i.toString(16).padStart(64, '0')
    return `<user name="u${i}"><token id="t${i}" sha256="${sha256}"/></user>`
  })
  return Buffer.from(usersXml(`${users.join('\n')}${last}`))
}

test('20,000 users are read as they stand while the loop turns', async () => {
  const bytes = manyUsers(20_000)
  let isRead = false
  const reading = readUsersFile(bytes, RULES).finally(() => {
    isRead = true
  })
  let turns = 0
  for (; !isRead; turns += 1) await setImmediate()
  // A turn for the start, one for the end, and at most one for each of 20 slices, if it all blocked.
  assert.ok(turns > 100, `${turns} turns`)
  assert.deepEqual(await reading, parseUsersFile(bytes, RULES))
})

test('a large file with a fault is told as a small one is', async () => {
  const bytes = manyUsers(2_000, '<user name="u1"/>')
  const read = await readUsersFile(bytes, RULES)
  assert.ok(!read.ok)
  assert.deepEqual(read, parseUsersFile(bytes, RULES))
})
