import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { HeldUploads } from './load/held-uploads.ts'
import { BLOCK_BYTES } from './load/large-content.ts'
import type { LargeTransfer } from './load/large-transfer.ts'
import { CalledProcess } from './load/process-calls.ts'
import { contenderTable, formatDecimal, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { busiestCores } from './measure/load-report.ts'
import { residentBytes } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { PRODUCER, startBroker } from './servers/broker.ts'
import { removeDirectory, serverDirectory } from './servers/server-process.ts'
import type { StoringApp } from './servers/storing-app.ts'

const HELD = 200
const HELD_BYTES = 5 * BLOCK_BYTES

/** What is left of the handshakes is collected meanwhile. */
const SETTLE_MS = 3000

const SAMPLED_MS = 20

/** A server that takes uploads, new for each run: memory that was once used is kept. */
interface Server extends AsyncDisposable {
  readonly pid: number
  readonly port: number
}

type Start = () => Promise<Server>

export const uploadMemory: Line = {
  name: 'upload-memory',
  needs: [],
  async run({ isQuick, tell }) {
    const largeBytes = (isQuick ? 2 : 8) * 1024 * BLOCK_BYTES
    await requireFree(2 * largeBytes)
    const servers: readonly (readonly [string, Start])[] = [
      ['broker', startBrokerServer],
      ['bare Node', startAppServer],
    ]
    const contenders = (run: (start: Start) => Promise<Run>) =>
      servers.map(([name, start]): Contender => ({ name, run: () => run(start) }))
    return section(
      await interleave(contenders(measureHeld), isQuick ? 1 : 3, tell),
      await interleave(
        contenders((start) => measureLarge(start, largeBytes)),
        1,
        tell,
      ),
      largeBytes,
    )
  },
}

async function requireFree(bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(tmpdir())
  if (bavail * bsize < bytes) throw new Error(`${tmpdir()} has less than ${bytes} bytes free`)
}

async function startBrokerServer(): Promise<Server> {
  const { process, port } = await startBroker()
  const { pid } = process
  return { pid, port, [Symbol.asyncDispose]: () => process[Symbol.asyncDispose]() }
}

async function startAppServer(): Promise<Server> {
  const cleanup = new AsyncDisposableStack()
  const directory = cleanup.adopt(await serverDirectory(), removeDirectory)
  const app = cleanup.use(
    CalledProcess.start<StoringApp>(new URL('./servers/storing-app.ts', import.meta.url)),
  )
  const port = await app.call('listen', { directory })
  return { pid: app.pid, port, [Symbol.asyncDispose]: () => cleanup.disposeAsync() }
}

async function measureHeld(start: Start): Promise<Run> {
  await using server = await start()
  await using load = CalledProcess.start<HeldUploads>(
    new URL('./load/held-uploads.ts', import.meta.url),
  )
  await delay(SETTLE_MS)
  const before = residentBytes(server.pid)
  const { port, pid } = server
  await load.call('open', { port, headers: PRODUCER, uploads: HELD, bytes: HELD_BYTES })
  await delay(SETTLE_MS)
  const held = residentBytes(pid)
  return {
    figures: { 'MiB each': (held - before) / HELD / 2 ** 20, 'MB before': before / 1e6 },
    generatorCores: 0,
    fault: await load.call('finish', undefined),
  }
}

/** Of a large upload: what it adds at most, and how much of that came in its second half. */
async function measureLarge(start: Start, bytes: number): Promise<Run> {
  await using server = await start()
  await using transfer = CalledProcess.start<LargeTransfer>(
    new URL('./load/large-transfer.ts', import.meta.url),
  )
  const content = { seed: 0, bytes }
  const sha256 = await transfer.call('sha256', content)
  const { pid, port } = server
  const before = residentBytes(pid)
  const samples: number[] = []
  const timer = setInterval(() => samples.push(residentBytes(pid)), SAMPLED_MS)
  const target = { port, path: '/files/bench/large.bin', headers: PRODUCER }
  const sent = await transfer.call('send', { ...target, content })
  clearInterval(timer)
  const half = samples.length / 2
  const firstPeak = Math.max(...samples.slice(0, half))
  const secondPeak = Math.max(...samples.slice(half))
  const seconds = (sent.endedMs - sent.startedMs) / 1000
  return {
    figures: {
      'peak MB': (Math.max(firstPeak, secondPeak) - before) / 1e6,
      'growth MB': (secondPeak - firstPeak) / 1e6,
      'MB/s': bytes / seconds / 1e6,
    },
    generatorCores: busiestCores([sent], seconds),
    fault: sent.answer.includes(sha256) ? undefined : `${sent.status} ${sent.answer}`,
  }
}

function section(held: readonly Rounds[], large: readonly Rounds[], largeBytes: number): Section {
  return {
    title: 'Memory of uploads',
    notes: [
      `Resident memory that ${HELD} uploads add to a process, ${SETTLE_MS / 1000} seconds after each has sent ` +
        `${HELD_BYTES / BLOCK_BYTES - 1} MiB and then waits, divided among them; and what one upload of ` +
        `${largeBytes / 2 ** 30} GiB adds at its peak, looked at every ${SAMPLED_MS} ms, and by how much the peak ` +
        'of its second half is above the one of its first. Bare Node pipes each body through SHA-256 into a file.',
      'Checked: all uploads are finished afterwards, and the digests that the answers tell.',
    ],
    tables: [
      contenderTable(
        held,
        [
          spread('MiB each', (mebibytes) => mebibytes.toFixed(2)),
          spread('MB before', formatDecimal, 'MB without any'),
          ratio('MiB each'),
        ],
        `${HELD} uploads`,
      ),
      contenderTable(
        large,
        [
          spread('peak MB', formatDecimal, 'MB at its peak'),
          spread('growth MB', formatDecimal, 'MB growth'),
          spread('MB/s'),
        ],
        'one upload',
      ),
    ],
  }
}
