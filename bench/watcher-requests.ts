import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { CalledProcess } from './load/process-calls.ts'
import type { PacedRequest, RequestPacer } from './load/request-pacer.ts'
import type { TreeWriter } from './load/tree-writer.ts'
import { contenderTable, formatDecimal, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { busiestCores } from './measure/load-report.ts'
import { percentile } from './measure/percentiles.ts'
import type { Section } from './measure/report.ts'
import { CONSUMER, headOf, PRODUCER, type RunningBroker, startBroker } from './servers/broker.ts'

const FILES = 20_000
const PER_SECOND = 200
const QUIET_MS = 5000

interface Processes {
  readonly broker: RunningBroker
  readonly pacer: CalledProcess<RequestPacer>
  readonly writer: CalledProcess<TreeWriter>
}

export const watcherRequests: Line = {
  name: 'watcher-requests',
  needs: [],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker({ flags: ['--settle=100ms'] })
    cleanup.use(broker.process)
    const start = (file: string) => new URL(`./load/${file}.ts`, import.meta.url)
    const pacer = cleanup.use(CalledProcess.start<RequestPacer>(start('request-pacer')))
    const writer = cleanup.use(CalledProcess.start<TreeWriter>(start('tree-writer')))
    const { directory } = broker.process
    const trees = Array.from({ length: 1000 }, (_, run) => String(run)).values()
    const contender = (name: string, below: string | undefined): Contender => ({
      name,
      run: () => {
        const root = below && join(directory, below, trees.next().value ?? '')
        return measure({ broker, pacer, writer }, root, below === WATCHED)
      },
    })
    const contenders = [
      contender('nothing is written', undefined),
      contender(`${FILES} files are written, where nobody watches`, 'elsewhere'),
      contender(`${FILES} files are written into the volume`, WATCHED),
    ]
    for (const each of contenders) await each.run()
    return section(await interleave(contenders, isQuick ? 1 : 5, tell))
  },
}

const WATCHED = 'data/files/bench'

function requestsTo(port: number): readonly PacedRequest[] {
  const type = { 'content-type': 'application/json' }
  return [
    { name: 'livez', port, method: 'GET', path: '/livez', headers: {}, body: '', status: 200 },
    {
      ...{ name: 'publish', port, method: 'POST', path: '/events/bench/paced', body: '1' },
      ...{ headers: { ...PRODUCER, ...type }, status: 201 },
    },
  ]
}

/** @param root - where files are written meanwhile; each is told when it is in the volume */
async function measure(
  { broker, pacer, writer }: Processes,
  root: string | undefined,
  isTold: boolean,
): Promise<Run> {
  const before = await headOf(broker)
  await pacer.call('start', { perSecond: PER_SECOND, requests: requestsTo(broker.port) })
  if (root === undefined) await delay(QUIET_MS)
  else await writer.call('write', { root, files: FILES })
  const url = `http://127.0.0.1:${broker.port}/files/sync`
  const barrier = await fetch(url, { method: 'POST', headers: CONSUMER })
  const { durations, fault, ...report } = await pacer.call('end', undefined)
  const { livez = new Float64Array(), publish = new Float64Array() } = durations
  const told = (await headOf(broker)) - before - publish.length
  const seconds = (report.endedMs - report.startedMs) / 1000
  const isRight = barrier.ok && told === (isTold ? FILES : 0)
  return {
    figures: {
      'livez p50 ms': percentile(livez, 0.5),
      'livez p99 ms': percentile(livez, 0.99),
      'livez most ms': percentile(livez, 1),
      'publish p50 ms': percentile(publish, 0.5),
      'publish p99 ms': percentile(publish, 0.99),
      'publish most ms': percentile(publish, 1),
      seconds,
    },
    generatorCores: busiestCores([report], seconds),
    fault: fault ?? (isRight ? undefined : `${told} changes were told`),
  }
}

function section(rounds: readonly Rounds[]): Section {
  const figures = ['livez', 'publish'].flatMap((name) =>
    ['p50', 'p99', 'most'].map((value) => `${name} ${value} ms`),
  )
  return {
    title: 'Requests while files change',
    notes: [
      `${PER_SECOND} \`GET /livez\` and ${PER_SECOND} publishes a second, while another process writes files as fast as it can and until ` +
        '`POST /files/sync` says that all of them are told: milliseconds from when a request was due to its answer. The files that nobody ' +
        'watches show what the writing alone costs on this machine.',
      'Checked: the status of each answer, and one event for each file in the volume.',
    ],
    tables: [
      contenderTable(
        rounds,
        [...figures, 'seconds'].map((figure) => spread(figure, formatDecimal)),
      ),
    ],
  }
}
