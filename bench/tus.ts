import { CalledProcess } from './load/process-calls.ts'
import type { TusUploader } from './load/tus-uploader.ts'
import { contenderTable, formatDecimal, median, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { busiestCores } from './measure/load-report.ts'
import { packageVersion } from './measure/machine.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { PRODUCER, type RunningBroker, startBroker } from './servers/broker.ts'
import type { HashAlone } from './servers/hash-alone.ts'
import { removeDirectory, serverDirectory } from './servers/server-process.ts'
import type { TusApp } from './servers/tus-app.ts'

const MIB = 2 ** 20
const PART_BYTES = 8 * MIB

interface Size {
  readonly bytes: number
  readonly partBytes: number
  /** Of what is sent. */
  readonly digest: string
}

export const tus: Line = {
  name: 'tus',
  needs: [],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const start = (file: string) => new URL(file, import.meta.url)
    const uploader = cleanup.use(CalledProcess.start<TusUploader>(start('./load/tus-uploader.ts')))
    const peer = cleanup.use(CalledProcess.start<TusApp>(start('./servers/tus-app.ts')))
    const hasher = cleanup.use(CalledProcess.start<HashAlone>(start('./servers/hash-alone.ts')))
    const port = await peer.call('listen', cleanup.adopt(await serverDirectory(), removeDirectory))
    const bytes = (isQuick ? 256 : 1024) * MIB
    const digest = await uploader.call('digest', bytes)
    const rounds = async (partBytes: number) => {
      const size = { bytes, partBytes, digest }
      const contenders = [
        toBroker(broker, uploader, size),
        toPeer(peer, port, uploader, size),
        alone(hasher, bytes),
      ]
      for (const contender of contenders) await contender.run()
      return interleave(contenders, isQuick ? 2 : 5, tell)
    }
    return section(bytes, await rounds(bytes), await rounds(PART_BYTES))
  },
}

function toBroker(
  { port, process }: RunningBroker,
  uploader: CalledProcess<TusUploader>,
  { digest, ...size }: Size,
): Contender {
  return {
    name: 'broker',
    run: async () => {
      const before = processorSeconds(process.pid)
      const target = { port, endpoint: '/uploads', headers: PRODUCER, path: 'bench/large' }
      const uploaded = await uploader.call('upload', { ...target, ...size })
      const busySeconds = processorSeconds(process.pid) - before
      const seconds = (uploaded.endedMs - uploaded.startedMs) / 1000
      await fetch(`http://127.0.0.1:${port}/files/bench/large`, {
        method: 'DELETE',
        headers: PRODUCER,
      })
      return {
        figures: figuresOf(size.bytes, seconds, busySeconds),
        generatorCores: busiestCores([uploaded], seconds),
        fault: uploaded.etag === `"sha256-${digest}"` ? undefined : 'another content was stored',
      }
    },
  }
}

function toPeer(
  peer: CalledProcess<TusApp>,
  port: number,
  uploader: CalledProcess<TusUploader>,
  { digest, ...size }: Size,
): Contender {
  return {
    name: '@tus/server and @tus/file-store, no digest, no fsync',
    run: async () => {
      const before = processorSeconds(peer.pid)
      const target = { port, endpoint: '/uploads', headers: {}, path: 'bench/large' }
      const uploaded = await uploader.call('upload', { ...target, ...size })
      const busySeconds = processorSeconds(peer.pid) - before
      const seconds = (uploaded.endedMs - uploaded.startedMs) / 1000
      const isStored = (await peer.call('take', uploaded.url)) === digest
      return {
        figures: figuresOf(size.bytes, seconds, busySeconds),
        generatorCores: busiestCores([uploaded], seconds),
        fault: isStored ? undefined : 'another content was stored',
      }
    },
  }
}

function alone(hasher: CalledProcess<HashAlone>, bytes: number): Contender {
  return {
    name: 'SHA-256 alone, of blocks in memory',
    run: async () => {
      const seconds = await hasher.call('hash', bytes)
      return { figures: figuresOf(bytes, seconds, seconds), generatorCores: 0 }
    },
  }
}

function figuresOf(bytes: number, seconds: number, busySeconds: number) {
  return { 'MiB/s': bytes / MIB / seconds, 'CPU seconds': busySeconds }
}

function section(bytes: number, whole: readonly Rounds[], parts: readonly Rounds[]): Section {
  const [size, part] = [bytes / MIB, PART_BYTES / MIB]
  const columns = [spread('MiB/s'), median('CPU seconds', formatDecimal), ratio('MiB/s')]
  const versions = ['@tus/server', '@tus/file-store'].map(packageVersion).join(' and ')
  return {
    title: 'Resumable uploads',
    notes: [
      `tus uploads of ${size} MiB, one after the other over one connection, in one part and in parts of ${part} MiB. The ` +
        'broker checks a token, hashes, syncs before each answer, and with the last one commits the file and its event. ' +
        `The peer (${versions}) writes to a file and does no more. The last row is what one core can hash.`,
      'Checked: the offset that is answered last, and the digest of what is stored.',
    ],
    tried: [
      'Written and hashed by one thread, in pieces of 32 KiB, as other large uploads: 0.73 to 1.72 of the peer in one part, with ' +
        'half of the processor time.',
    ],
    tables: [
      contenderTable(whole, columns, 'in one part'),
      contenderTable(parts, columns, `in parts of ${part} MiB`),
    ],
  }
}
