import type { FileEvents } from './load/file-events.ts'
import { CalledProcess } from './load/process-calls.ts'
import type { Uploader, UploadTime } from './load/uploader.ts'
import { contenderTable, formatDecimal, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { busiestCores, type LoadReport } from './measure/load-report.ts'
import { percentile } from './measure/percentiles.ts'
import type { Section } from './measure/report.ts'
import { CONSUMER, PRODUCER, startBroker } from './servers/broker.ts'

const FILE_BYTES = 1024
const PER_SECOND = 50
const AT_ONCE = 16

interface Processes {
  readonly port: number
  readonly uploader: CalledProcess<Uploader>
  readonly events: CalledProcess<FileEvents>
}

type Send = (uploader: CalledProcess<Uploader>) => Promise<LoadReport>

export const uploadEvents: Line = {
  name: 'upload-to-event',
  needs: [],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const { port, process } = await startBroker()
    cleanup.use(process)
    const uploader = cleanup.use(
      CalledProcess.start<Uploader>(new URL('./load/uploader.ts', import.meta.url)),
    )
    const events = cleanup.use(
      CalledProcess.start<FileEvents>(new URL('./load/file-events.ts', import.meta.url)),
    )
    await events.call('subscribe', { port, filter: 'files/bench/**', headers: CONSUMER })
    const directories = Array.from({ length: 1000 }, (_, run) => `/files/bench/${run}/`).values()
    const seconds = isQuick ? 2 : 6
    const contender = (name: string, files: number, send: Send): Contender => ({
      name,
      run: () => measure({ port, uploader, events }, directories.next().value ?? '', files, send),
    })
    const contenders = [
      contender(`${PER_SECOND} uploads a second`, PER_SECOND * seconds, (load) =>
        load.call('uploadPaced', { perSecond: PER_SECOND }),
      ),
      contender(`${AT_ONCE} at once, as fast as acknowledged`, 1000 * seconds, (load) =>
        load.call('upload', undefined),
      ),
    ]
    for (const each of contenders) await each.run()
    return section(await interleave(contenders, isQuick ? 2 : 5, tell))
  },
}

async function measure(
  { port, uploader, events }: Processes,
  directory: string,
  files: number,
  send: Send,
): Promise<Run> {
  const size = { files, bytes: FILE_BYTES, atOnce: AT_ONCE }
  await uploader.call('prepare', { port, directory, headers: PRODUCER, ...size })
  const sent = await send(uploader)
  const cameMs = await events.call('take', { events: files })
  const times = await uploader.call('times', undefined)
  return {
    figures: figuresOf(times, cameMs),
    generatorCores: busiestCores([sent], (sent.endedMs - sent.startedMs) / 1000),
    fault: await uploader.call('check', undefined),
  }
}

/** An event may come before its answer: then what lies between them is less than nothing. */
function figuresOf(times: readonly UploadTime[], cameMs: ReadonlyMap<string, number>) {
  const eventMs = ({ path }: UploadTime) => cameMs.get(path) ?? Number.NaN
  const sorted = (of: (time: UploadTime) => number) => Float64Array.from(times.map(of)).sort()
  const uploads = sorted(({ sentMs, answeredMs }) => answeredMs - sentMs)
  const afterAnswer = sorted((time) => eventMs(time) - time.answeredMs)
  const afterSending = sorted((time) => eventMs(time) - time.sentMs)
  return {
    'answer p50 ms': percentile(uploads, 0.5),
    'answer p99 ms': percentile(uploads, 0.99),
    'event after answer p50 ms': percentile(afterAnswer, 0.5),
    'event after answer p99 ms': percentile(afterAnswer, 0.99),
    'event p50 ms': percentile(afterSending, 0.5),
    'event p99 ms': percentile(afterSending, 0.99),
    '% before the answer': (100 * afterAnswer.filter((ms) => ms < 0).length) / times.length,
  }
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'From an upload to its event',
    notes: [
      `PUT of new files of ${FILE_BYTES} random bytes, and a subscriber of their directory on a WebSocket, in a process of its own: when ` +
        'the uploader has its answer, and when the subscriber has the event, which may come first. All in milliseconds.',
      'Checked: status and digest of each answer, one event for each file, and each file read again afterwards.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('answer p50 ms', formatDecimal, 'to the answer, p50'),
        spread('answer p99 ms', formatDecimal, 'p99'),
        spread('event p50 ms', formatDecimal, 'to the event, p50'),
        spread('event p99 ms', formatDecimal, 'p99'),
        spread('event after answer p50 ms', formatDecimal, 'answer to event, p50'),
        spread('event after answer p99 ms', formatDecimal, 'p99'),
        spread('% before the answer', formatDecimal, 'event first, %'),
      ]),
    ],
  }
}
