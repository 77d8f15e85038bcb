import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { pack } from 'tar-stream'
import { unpackBackup } from '../../src/gateway/backup/unpack-backup.ts'

/** An archive of one file, whose header says `size` in its 12 bytes. */
async function archiveOfSize(size: string): Promise<Buffer> {
  const archive = pack()
  archive.entry({ name: 'files/a' }, 'content')
  archive.finalize()
  const bytes = await buffer(archive)
  bytes.write(size, 124, 'latin1')
  bytes.fill(' ', 148, 156)
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  bytes.write(sum.toString(8).padStart(6, '0'), 148)
  return bytes
}

test('an entry whose size is no size is refused and not waited for', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'unpack-'))
  t.after(() => rm(home, { recursive: true }))
  const file = join(home, 'backup.tar')
  const sizes = ['none'.repeat(3), `${'\xff'.repeat(11)}\xfb`]
  for (const size of sizes) {
    await writeFile(file, await archiveOfSize(size))
    await assert.rejects(
      unpackBackup(file, (name) => join(home, name)),
      /is damaged or no backup: the size of files\/a is none$/,
    )
  }
})
