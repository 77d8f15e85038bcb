import { join } from 'node:path'
import { CalledProcess } from './load/process-calls.ts'
import type { Uploader } from './load/uploader.ts'
import { contenderTable, formatDecimal, median, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { busiestCores } from './measure/load-report.ts'
import { percentile } from './measure/percentiles.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { PRODUCER, type RunningBroker, startBroker } from './servers/broker.ts'
import type { FileWriter } from './servers/file-writer.ts'
import { removeDirectory, serverDirectory } from './servers/server-process.ts'

const FILE_BYTES = 1024
const AT_ONCE = 16

/** As the broker has it. */
const POOL = { UV_THREADPOOL_SIZE: '16' }

export const uploads: Line = {
  name: 'uploads',
  needs: [],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const uploader = cleanup.use(
      CalledProcess.start<Uploader>(new URL('./load/uploader.ts', import.meta.url)),
    )
    const writer = cleanup.use(
      CalledProcess.start<FileWriter>(new URL('./servers/file-writer.ts', import.meta.url), POOL),
    )
    const scratch = cleanup.adopt(await serverDirectory(), removeDirectory)
    const contenders = [
      toBroker(broker, uploader, isQuick ? 2000 : 10_000),
      toWriter(scratch, writer, isQuick ? 2000 : 10_000),
    ]
    for (const contender of contenders) await contender.run()
    return section(await interleave(contenders, isQuick ? 2 : 5, tell))
  },
}

function toBroker(
  { port, process }: RunningBroker,
  uploader: CalledProcess<Uploader>,
  files: number,
): Contender {
  let run = 0
  return {
    name: 'broker, PUT',
    run: async () => {
      run += 1
      const size = { files, bytes: FILE_BYTES, atOnce: AT_ONCE }
      const directory = `/files/bench/${run}/`
      await uploader.call('prepare', { port, directory, headers: PRODUCER, ...size })
      const before = processorSeconds(process.pid)
      const uploaded = await uploader.call('upload', undefined)
      const busySeconds = processorSeconds(process.pid) - before
      const seconds = (uploaded.endedMs - uploaded.startedMs) / 1000
      return {
        figures: figuresOf(uploaded.durations, seconds, busySeconds),
        generatorCores: busiestCores([uploaded], seconds),
        fault: await uploader.call('check', undefined),
      }
    },
  }
}

function toWriter(scratch: string, writer: CalledProcess<FileWriter>, files: number): Contender {
  let run = 0
  return {
    name: 'open, write, fsync, close, rename, fsync of the directory',
    run: async () => {
      run += 1
      const size = { files, bytes: FILE_BYTES, atOnce: AT_ONCE }
      const before = processorSeconds(writer.pid)
      const written = await writer.call('write', { directory: join(scratch, String(run)), ...size })
      const busySeconds = processorSeconds(writer.pid) - before
      const seconds = (written.endedMs - written.startedMs) / 1000
      return {
        figures: figuresOf(written.durations, seconds, busySeconds),
        generatorCores: 0,
        fault: written.fault,
      }
    },
  }
}

function figuresOf(durations: Float64Array, seconds: number, busySeconds: number) {
  return {
    'files/s': durations.length / seconds,
    'p50 ms': percentile(durations, 0.5),
    'p99 ms': percentile(durations, 0.99),
    cores: busySeconds / seconds,
  }
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'Durable small uploads',
    notes: [
      `New files of ${FILE_BYTES} random bytes, ${AT_ONCE} at once, durable when acknowledged. The broker is sent PUT ` +
        'with a token over as many connections; it hashes, writes, indexes and tells each file as an event. The ' +
        'peer is a Node process that makes the system calls alone, the directory synced for each file, with as many threads; it takes ' +
        'no requests.',
      'Checked: status and digest of each answer, and each file read again afterwards.',
    ],
    tried: [
      'A pool of 16 threads in the place of 4: half as many files again, for the peer too.',
      'System calls of the broker for a file, by strace: one fdatasync of the content, 1.9 fsync (directory and two ' +
        'commits, each shared by several files), 1 openat, 1 link, 1 unlink, 6 statx, 3 readlink.',
      'A pool of 48 threads: no difference. Of 18 ms with 16 at once on two cores the look at what is there took 5.2, of ' +
        'which most was a read of the index that waited behind a commit. The journal is now synced by a thread of its ' +
        'own, and reads pass.',
      'Every look (lstat, fstat, readlink) was a trip to the pool, 20 us of the main thread for a question of 2. Made in place ' +
        'where the file system answers at once: 850 to 650 us of the main thread for a file on a busy machine, 0.23 to ' +
        '0.31 of the peer.',
      'What limits is the main thread, which is busy for 85% of the time. Of it 28% is what seven trips to the pool cost ' +
        'here (open, write, fdatasync, link, unlink, close, the sync of the directory); they stay there, since they may wait ' +
        'for the disk, and everybody else with them. The messages to the database are 5%, the collector 4%, the rest is spread thin. ' +
        'File operations by io_uring ' +
        '(UV_USE_IO_URING): no difference, Node does not use it for these.',
      'Three messages to four threads of our own in the place of six of the trips (open and write; sync and close; link and unlink): ' +
        'the same time of the main thread, 370 us, and half as much again of the others. By `perf` a fifth of that time is the kernel ' +
        'waking threads, which a message does too; no function of the rest has more than 1.6%.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('files/s'),
        median('p50 ms', formatDecimal),
        median('p99 ms', formatDecimal),
        median('cores', formatDecimal),
        ratio('files/s'),
      ]),
    ],
  }
}
