import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CalledProcess } from './load/process-calls.ts'
import { contenderTable, formatDecimal, median, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { processorSeconds, residentBytes } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import type { WatchingApp } from './servers/watching-app.ts'

const DIRECTORIES = 1000
const FILES_IN_EACH = 100

export const watcher: Line = {
  name: 'watcher',
  needs: [],
  async run({ isQuick, tell }) {
    const scratch = await mkdtemp(join(tmpdir(), 'bench-'))
    try {
      const root = join(scratch, 'tree')
      const directories = isQuick ? DIRECTORIES / 5 : DIRECTORIES
      await makeTree(root, directories)
      const files = directories * FILES_IN_EACH
      const contenders: readonly Contender[] = [
        {
          name: "broker's watch thread, with its first walk",
          run: () => measure('broker', root, files),
        },
        { name: 'bare chokidar', run: () => measure('chokidar', root, files) },
        { name: 'a walk alone (readdir, lstat)', run: () => measure('walk', root, files) },
      ]
      return section(await interleave(contenders, isQuick ? 1 : 5, tell))
    } finally {
      await rm(scratch, { recursive: true })
    }
  },
}

async function makeTree(root: string, directories: number): Promise<void> {
  for (let d = 0; d < directories; d += 1) {
    const directory = join(root, `${d % 32}`, `${d}`)
    await mkdir(directory, { recursive: true })
    const files = Array.from({ length: FILES_IN_EACH }, (_, f) => join(directory, `file-${f}`))
    await Promise.all(files.map((file) => writeFile(file, 'x')))
  }
}

/** Memory that was once used is kept: each run has a process of its own. */
async function measure(kind: keyof WatchingApp, root: string, files: number): Promise<Run> {
  const app = new URL('./servers/watching-app.ts', import.meta.url)
  await using child = CalledProcess.start<WatchingApp>(app)
  // The first answer says that it has started.
  await child.call('walk', join(root, '0', '0'))
  const before = { bytes: residentBytes(child.pid), seconds: processorSeconds(child.pid) }
  const watched = await child.call(kind, root)
  return {
    figures: {
      'ready ms': watched.readyMs,
      MB: (residentBytes(child.pid) - before.bytes) / 1e6,
      'cpu s': processorSeconds(child.pid) - before.seconds,
    },
    generatorCores: 0,
    fault:
      (watched.files ?? files) === files ? undefined : `${watched.files} of ${files} files met`,
  }
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'Watching a large volume',
    notes: [
      `${DIRECTORIES * FILES_IN_EACH} files in ${DIRECTORIES} directories: until all of them are watched, and resident memory that it adds to a ` +
        'process of Node. The watch of the broker is its thread alone, without index and hashes, and counts with the walk that finds what ' +
        'changed while nobody watched. A walk alone sees no change that comes later: it is the floor.',
      'Checked: both walks meet every file.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('ready ms'),
        spread('MB', formatDecimal),
        median('cpu s', formatDecimal),
        ratio('ready ms', 'ready, broker : it'),
        ratio('MB', 'MB, broker : it'),
      ]),
    ],
  }
}
