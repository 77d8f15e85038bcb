import { payloadOf } from './load/payload.ts'
import { CalledProcess } from './load/process-calls.ts'
import { runWrk } from './load/wrk.ts'
import {
  formatDecimal,
  type Group,
  groupedTable,
  median,
  ratio,
  spread,
} from './measure/columns.ts'
import { type Contender, interleave, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { headOf, PRODUCER, startBroker } from './servers/broker.ts'
import type { App } from './servers/ws-app.ts'

const PAYLOAD_BYTES = 128

interface Form {
  readonly name: string
  readonly contentType: string
  /** Events of one request. */
  readonly events: number
  readonly connections: number
}

const FORMS: readonly Form[] = [
  { name: 'one event a request', contentType: 'application/json', events: 1, connections: 64 },
  {
    name: 'NDJSON, 500 a request',
    contentType: 'application/x-ndjson',
    events: 500,
    connections: 4,
  },
]

interface Server {
  readonly name: string
  readonly pid: number
  readonly port: number
  /** Events that it has taken up to now, where it can tell. */
  taken(): Promise<number | undefined>
}

export const publishRate: Line = {
  name: 'publish-rate',
  needs: ['wrk'],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const file = new URL('./servers/reading-app.ts', import.meta.url)
    const app = cleanup.use(CalledProcess.start<App>(file))
    const servers: readonly Server[] = [
      {
        name: 'broker',
        pid: broker.process.pid,
        port: broker.port,
        taken: () => headOf(broker),
      },
      {
        name: 'bare Fastify',
        pid: app.pid,
        port: await app.call('listen', undefined),
        taken: async () => undefined,
      },
    ]
    const results: Group[] = []
    for (const form of FORMS) {
      tell(form.name)
      const contenders = servers.map(
        (server): Contender => ({
          name: server.name,
          run: () => measure(server, form, isQuick ? 1 : 4),
        }),
      )
      for (const contender of contenders) await contender.run()
      results.push([form.name, await interleave(contenders, isQuick ? 2 : 5, tell)])
    }
    return section(results)
  },
}

async function measure(server: Server, form: Form, seconds: number): Promise<Run> {
  const lines = Array.from({ length: form.events }, (_, number) =>
    payloadOf({ publisher: 0, number }, PAYLOAD_BYTES),
  )
  const [before, busyBefore] = [await server.taken(), processorSeconds(server.pid)]
  const report = await runWrk({
    port: server.port,
    method: 'POST',
    paths: ['/events/bench/publish'],
    headers: { ...PRODUCER, 'content-type': form.contentType },
    body: lines.join('\n'),
    connections: form.connections,
    seconds,
    isUniform: false,
  })
  const busySeconds = processorSeconds(server.pid) - busyBefore
  const after = await server.taken()
  const events = report.requests * form.events
  const taken = before === undefined || after === undefined ? events : after - before
  return {
    figures: {
      'events/s': report.requestsPerSecond * form.events,
      'p50 ms': report.p50Ms,
      'p99 ms': report.p99Ms,
      'server cores': busySeconds / seconds,
    },
    generatorCores: report.generatorCores,
    fault: taken < events ? `${taken} events in the log for ${events} acknowledged` : report.fault,
  }
}

function section(results: readonly Group[]): Section {
  return {
    title: 'Publishing over HTTP',
    notes: [
      `POST of events with ${PAYLOAD_BYTES} bytes of data over 64 connections, and of NDJSON over 4 (\`wrk\`, 2 threads). The ` +
        'broker reads, judges, stamps and commits them to its log before it answers, and writes a line of its own log ' +
        'for each request, as it does by default; nobody is subscribed. The bare Fastify reads the body and answers; ' +
        'it has no hooks and logs nothing.',
      'Checked: the status of each answer, and that the log of the broker grew by what was acknowledged.',
    ],
    tables: [
      groupedTable('', results, [
        spread('events/s'),
        median('p50 ms', formatDecimal),
        median('p99 ms', formatDecimal),
        median('server cores', formatDecimal),
        ratio('events/s'),
      ]),
    ],
    tried: [
      'One event a request cost the main thread 3.7 times what it costs the bare Fastify on an idle machine, and costs ' +
        'it 2.5 times. What went, in parts of what a publish cost at the time: the search of the log line for ' +
        'secrets, an eighth; randomness for ids, drawn digit by digit, a tenth; promises of hooks and of the steps ' +
        'of a publish, a tenth; looking for tickets and origins where there are none, a fifteenth; the topic read ' +
        'twice, a twentieth; header fields deleted that are not there, a twentieth; the log line of what succeeded, now at ' +
        'debug, a tenth.',
      'Then another tenth of the main thread, and an eighth of the process: what is published while a commit is under way ' +
        'as one commit, of which the log is told once; a deadline only for bodies that are not whole at the end ' +
        'of the turn; no fields for a log line that is not written; one logger for all requests, of which each had a child.',
      'One message to the database thread for all that comes while it is at work, in the place of one for each publish: ' +
        'half the processor time of that thread. All of a turn of the loop in one message: the main thread idled ' +
        'while everybody waited for the same commit. Rows as one flat list, as columns, as one JSON text or as bytes in ' +
        'a buffer: each dearer to hand over than a list of lists, 0.85 us a row.',
      'Not worth their lines, or their memory, 5% each or less: ' +
        'a young generation of 16 or 32 MB, which adds 16 or 33 MB to the process with 2000 idle connections; ' +
        'collecting it with one thread; counting up ids by the number; fewer events kept in memory; the code of Node in large ' +
        'pages, 24 MB; one promise from the request to the log in the place of three, and an answer that the ' +
        'framework sends by itself, 1% at most; histograms of our own, which keep a series where the library makes a text of ' +
        'the labels for each value, 5%.',
      'While one group of commits is synced, by a thread of its own, the next is written: 76 k to 115 k events/s in NDJSON, ' +
        'one event a request as before. Two groups under way in the place of three: 97 k.',
      'What limits, by processor time of the main thread while others used the machine too: the broker takes 50 us, the ' +
        'bare Fastify 19. An append that answers at once, `--events memory:`, saves a quarter and does not reach half ' +
        'of the bare Fastify either. The system call that writes an answer is 10 us of both. Of the other 40, ' +
        'collecting garbage is 6, since what waits for its commit outlives a collection (3 with `memory:`, 2 in the ' +
        'bare Fastify); the event read, judged, composed and numbered 6; the message to the thread and back 3; the token ' +
        '2; the rest is spread over Fastify, its hooks and the streams of Node, nothing of it above 1. With 16 ' +
        'connections the disk decides: an answer waits for one or two commits.',
    ],
  }
}
