/**
 * Uploads without end, in a process that is there to be killed: `node support-upload-loop.ts <directory>
 * <seed>`. Says on its output what it is about to store and what was acknowledged, a line each.
 */
import { createHash, randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { PathLocks } from '../../src/files/path-locks.ts'
import { DiskFileStore } from '../../src/files/store/disk-file-store.ts'
import { ContentHasher } from '../../src/files/uploads/content-hasher.ts'
import { recoverUploads } from '../../src/files/uploads/recover-uploads.ts'
import { pathOf } from '../contract/file-index.ts'
import { allow, chunks } from '../contract/file-store.ts'
import { openSqliteIndex } from './support-index.ts'
import { volumesIn } from './support-store.ts'

const [directory = '', round = ''] = process.argv.slice(2)
const volumes = await volumesIn(directory)
const { index } = await openSqliteIndex(join(directory, 'broker.db'))
await recoverUploads(volumes, index)
const deps = { volumes, index, locks: new PathLocks(), hasher: new ContentHasher(1) }
const store = new DiskFileStore(deps)

/** Each writer has paths of its own, so that their contents follow from its lines. */
async function write(writer: number): Promise<never> {
  for (let turn = 0; ; turn += 1) {
    const count = turn % 3 === 2 ? 3 : 1
    const paths = Array.from({ length: count }, (_, i) => pathFor(writer, turn, i))
    const files = paths.map((path) => ({ path, bytes: contentOf(writer, turn) }))
    const told = files.map(({ path, bytes }) => [path, digestOf(bytes)])
    say({ intends: told })
    const uploads = []
    for (const { path, bytes } of files) {
      const options = { digests: [], confirmShrink: false }
      const staged = await store.stage(pathOf(path), chunks(bytes), options)
      uploads.push({ staged, guard: allow })
    }
    await store.commit(uploads)
    for (const { staged } of uploads) await staged[Symbol.asyncDispose]()
    say({ stored: told })
  }
}

function pathFor(writer: number, turn: number, i: number): string {
  return i > 0 || turn % 2 === 0
    ? `w${writer}/same-${i}`
    : `w${writer}/round-${round}/${turn % 7}/new-${turn}`
}

function contentOf(writer: number, turn: number): Buffer {
  const size = turn % 5 === 0 ? 300_000 : 10 + writer
  return Buffer.concat([Buffer.alloc(size, turn), randomBytes(16)])
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

await Promise.all([0, 1, 2, 3].map(write))
