import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { BLOCK_BYTES } from './load/large-content.ts'
import type { LargeTransfer } from './load/large-transfer.ts'
import { CalledProcess } from './load/process-calls.ts'
import { contenderTable, formatDecimal, median, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { busiestCores } from './measure/load-report.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { PRODUCER, type RunningBroker, startBroker } from './servers/broker.ts'
import { startNginx, writeNginxConf } from './servers/nginx.ts'
import { freePort } from './servers/ports.ts'
import { type ServerProcess, serverDirectory } from './servers/server-process.ts'

type Transfer = CalledProcess<LargeTransfer>

interface Dav {
  readonly process: ServerProcess
  readonly port: number
}

interface Upload {
  readonly pid: number
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** After the answer, as part of what is measured. */
  readonly finish?: () => Promise<void>
}

const BYTES = 1024 * BLOCK_BYTES

export const largeUploads: Line = {
  name: 'large-uploads',
  needs: ['nginx'],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const dav = await startDav()
    cleanup.use(dav.process)
    const transfer = cleanup.use(
      CalledProcess.start<LargeTransfer>(new URL('./load/large-transfer.ts', import.meta.url)),
    )
    const seeds = Array.from({ length: 1000 }, (_, seed) => seed).values()
    const contenders: readonly Contender[] = [
      { name: 'broker, PUT', run: () => upload(transfer, seeds, toBroker(broker)) },
      { name: 'Nginx, PUT of its dav module', run: () => upload(transfer, seeds, toDav(dav)) },
      {
        name: 'Nginx, PUT of its dav module, then fsync',
        run: () => upload(transfer, seeds, toDurableDav(dav)),
      },
      { name: 'SHA-256 on one core', run: () => hash(transfer, seeds) },
    ]
    return section(await interleave(contenders, isQuick ? 2 : 5, tell))
  },
}

/** The module stores and answers: it hashes nothing, and nothing is durable. */
async function startDav(): Promise<Dav> {
  const directory = await serverDirectory()
  const port = await freePort()
  const locations = `location /files/ {
      root ${directory};
      dav_methods PUT DELETE;
      create_full_put_path on;
      client_max_body_size 0;
    }`
  await writeNginxConf(directory, { port, locations })
  return { process: await startNginx(directory, port), port }
}

function toBroker({ process, port }: RunningBroker): Upload {
  return { pid: process.pid, port, path: '/files/bench/large.bin', headers: PRODUCER }
}

function toDav({ process, port }: Dav): Upload {
  return { pid: process.pid, port, path: '/files/bench/large.bin', headers: {} }
}

function toDurableDav(dav: Dav): Upload {
  const upload = toDav(dav)
  return {
    ...upload,
    finish: async () => {
      await using file = await open(join(dav.process.directory, upload.path))
      await file.sync()
    },
  }
}

/** Leaves nothing behind: what is written back later would slow down the next one. */
async function upload(
  transfer: Transfer,
  seeds: Iterator<number>,
  { pid, port, path, headers, finish }: Upload,
): Promise<Run> {
  const content = { seed: nextOf(seeds), bytes: BYTES }
  const sha256 = await transfer.call('sha256', content)
  const digest = `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`
  const before = processorSeconds(pid)
  const startedMs = performance.now()
  const sent = await transfer.call('send', {
    ...{ port, path, content },
    headers: { ...headers, 'repr-digest': digest },
  })
  await finish?.()
  const seconds = (performance.now() - startedMs) / 1000
  const busySeconds = processorSeconds(pid) - before
  const stored = await transfer.call('digest', { port, path, headers })
  const { status } = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'DELETE', headers })
  const fault =
    sent.status === 201 && status === 204
      ? stored !== sha256 && 'another content came back'
      : `${sent.status} ${sent.answer}, ${status}`
  return {
    figures: { 'MB/s': BYTES / seconds / 1e6, 'server cores': busySeconds / seconds },
    generatorCores: busiestCores([sent], seconds),
    fault: fault || undefined,
  }
}

async function hash(transfer: Transfer, seeds: Iterator<number>): Promise<Run> {
  const content = { seed: nextOf(seeds), bytes: BYTES }
  const before = processorSeconds(transfer.pid)
  await transfer.call('sha256', content)
  const seconds = processorSeconds(transfer.pid) - before
  return { figures: { 'MB/s': BYTES / seconds / 1e6, 'server cores': 1 }, generatorCores: 0 }
}

function nextOf(seeds: Iterator<number>): number {
  const { value } = seeds.next()
  return Number(value)
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'Large uploads',
    notes: [
      'PUT of a new file of 1 GiB, one at a time. The broker hashes it, compares the digest that the request states, and answers ' +
        'when the file is durable, indexed and told. Nginx writes it to a temporary file and renames that; in one of its rows the file is ' +
        'synced by the bench afterwards, within what is measured. SHA-256 is what one core of this machine does, by its processor time.',
      'Checked: status of each answer, and the digest of each file read again afterwards.',
    ],
    tried: [
      'Blocks written by the pool, then hashed by a thread: two trips over the main thread for each, and the next write waits for ' +
        'it. Written and hashed by one thread: 0.33 to 1.14 of the dav module. Two writes of the pool at once: 0.75.',
      'Pieces of a write, beside the dav module: 512 KiB 0.36, 128 KiB 0.53, 64 KiB 0.50, 32 KiB 0.84, 16 KiB 0.85, 8 KiB 0.56. ' +
        'Above 32 KiB the page cache takes memory that a virtual machine has given back to its host: 2.5 s of system time for ' +
        '1 GiB in the place of 0.4.',
      'Six blocks of 256 KiB, beside the dav module: 0.74; three of 512 KiB 0.74, eight of 512 KiB 0.70, all beside 0.25 of before.',
      'The memory of the chunks of a socket given back at once, in the place of left to the collector: half of the processor ' +
        'time of the main thread. A sync of every 32 MiB while the rest arrives: the last one takes 10 ms in the place of 300 to 500.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('MB/s'),
        median('server cores', formatDecimal),
        ratio('MB/s'),
      ]),
    ],
  }
}
