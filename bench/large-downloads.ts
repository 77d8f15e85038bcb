import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { BLOCK_BYTES, type LargeContent, piecesOf, sha256Of } from './load/large-content.ts'
import type { LargeTransfer, TransferTarget } from './load/large-transfer.ts'
import { CalledProcess } from './load/process-calls.ts'
import { contenderTable, formatDecimal, median, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { busiestCores } from './measure/load-report.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { CONSUMER, PRODUCER } from './servers/broker.ts'
import { startBrokerBehindNginx } from './servers/broker-behind-nginx.ts'
import { startNginx, writeNginxConf } from './servers/nginx.ts'
import { freePort } from './servers/ports.ts'
import { type ServerProcess, serverDirectory } from './servers/server-process.ts'

const CONTENT: LargeContent = { seed: 0, bytes: 1024 * BLOCK_BYTES }
const PATH = '/files/bench/large.bin'

/** Of one run, one after another. */
const DOWNLOADS = 2

interface Front {
  readonly name: string
  readonly target: TransferTarget
  /** What answers the downloads: Nginx, and what it asks. */
  readonly processes: readonly ServerProcess[]
}

type Transfer = CalledProcess<LargeTransfer>

export const largeDownloads: Line = {
  name: 'large-downloads',
  needs: ['nginx'],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const transfer = cleanup.use(
      CalledProcess.start<LargeTransfer>(new URL('./load/large-transfer.ts', import.meta.url)),
    )
    const contenders: Contender[] = []
    for (const start of [startBrokerFront, startStaticFront]) {
      const front = await start()
      for (const process of front.processes) cleanup.use(process)
      const sha256 = await transfer.call('digest', front.target)
      if (sha256 !== sha256Of(CONTENT)) throw new Error(`${front.name}: another content came`)
      contenders.push(toContender(front, transfer))
    }
    return section(await interleave(contenders, isQuick ? 5 : 15, tell))
  },
}

function toContender({ name, target, processes }: Front, transfer: Transfer): Contender {
  const busy = () => processes.reduce((sum, { pid }) => sum + processorSeconds(pid), 0)
  return {
    name,
    run: async () => {
      const before = busy()
      const fetched = []
      for (let count = 0; count < DOWNLOADS; count += 1) {
        fetched.push(await transfer.call('fetch', target))
      }
      const busySeconds = busy() - before
      const seconds = fetched.reduce((sum, each) => sum + each.endedMs - each.startedMs, 0) / 1000
      const wrong = fetched.find(({ status, bytes }) => status !== 200 || bytes !== CONTENT.bytes)
      return {
        figures: {
          'MB/s': (DOWNLOADS * CONTENT.bytes) / seconds / 1e6,
          'server cores': busySeconds / seconds,
        },
        generatorCores: Math.max(
          ...fetched.map((each) => busiestCores([each], (each.endedMs - each.startedMs) / 1000)),
        ),
        fault: wrong && `${wrong.status} with ${wrong.bytes} bytes`,
      }
    },
  }
}

async function startBrokerFront(): Promise<Front> {
  const { broker, nginx, port } = await startBrokerBehindNginx()
  const answer = await fetch(`http://127.0.0.1:${port}${PATH}`, {
    method: 'PUT',
    headers: PRODUCER,
    body: Readable.from(piecesOf(CONTENT)),
    duplex: 'half',
  })
  if (answer.status !== 201) throw new Error(`upload: ${answer.status} ${await answer.text()}`)
  const target = { port, path: PATH, headers: CONSUMER }
  return { name: 'broker behind Nginx', target, processes: [nginx, broker.process] }
}

async function startStaticFront(): Promise<Front> {
  const directory = await serverDirectory()
  await mkdir(join(directory, 'files/bench'), { recursive: true })
  const file = createWriteStream(join(directory, PATH), { flush: true })
  Readable.from(piecesOf(CONTENT)).pipe(file)
  await once(file, 'close')
  const port = await freePort()
  await writeNginxConf(directory, { port, locations: `location /files/ { root ${directory}; }` })
  const nginx = await startNginx(directory, port)
  const target = { port, path: PATH, headers: {} }
  return { name: 'Nginx, static file, no authorisation', target, processes: [nginx] }
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'Authorised large downloads',
    notes: [
      `GET of a file of 1 GiB over a new connection, ${DOWNLOADS} one after another in a run. The request to the broker ` +
        'carries a token; the broker decides, and Nginx, configured by `broker nginx`, sends the file. Both files lie in the memory of ' +
        'the system.',
      'Checked: the digest of the content of each before the runs; in them each status, and that every byte came.',
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
