import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runWrk } from './load/wrk.ts'
import { contenderTable, formatDecimal, median, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { CONSUMER, PRODUCER } from './servers/broker.ts'
import { startBrokerBehindNginx } from './servers/broker-behind-nginx.ts'
import { startNginx, writeNginxConf } from './servers/nginx.ts'
import { freePort } from './servers/ports.ts'
import { ServerProcess, serverDirectory } from './servers/server-process.ts'

const FILES = 100
const FILE_BYTES = 1024
const CONNECTIONS = 64

const CONTENT = Buffer.alloc(FILE_BYTES, 'x')

interface Front {
  readonly name: string
  readonly port: number
  /** What answers the downloads: Nginx, and what it asks. */
  readonly processes: readonly ServerProcess[]
}

export const downloads: Line = {
  name: 'downloads',
  needs: ['nginx', 'wrk'],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const fronts: Front[] = []
    for (const start of [startBrokerFront, startStaticFront, startAcceleratedFront]) {
      const front = await start()
      for (const process of front.processes) cleanup.use(process)
      fronts.push(front)
    }
    const contenders = fronts.map((front) => toContender(front, isQuick ? 1 : 4))
    for (const contender of contenders) await contender.run()
    return section(await interleave(contenders, isQuick ? 2 : 5, tell))
  },
}

function toContender({ name, port, processes }: Front, seconds: number): Contender {
  const busy = () => processes.reduce((sum, { pid }) => sum + processorSeconds(pid), 0)
  return {
    name,
    run: async () => {
      const before = busy()
      const paths = Array.from({ length: FILES }, (_, index) => `/files/${pathOf(index)}`)
      const size = { connections: CONNECTIONS, seconds, isUniform: true }
      const report = await runWrk({ port, method: 'GET', paths, headers: CONSUMER, ...size })
      return {
        figures: {
          'requests/s': report.requestsPerSecond,
          'p50 ms': report.p50Ms,
          'p99 ms': report.p99Ms,
          'server cores': (busy() - before) / seconds,
        },
        generatorCores: report.generatorCores,
        fault: report.fault,
      }
    },
  }
}

async function startBrokerFront(): Promise<Front> {
  const { broker, nginx, port } = await startBrokerBehindNginx()
  for (let index = 0; index < FILES; index += 1) {
    const url = `http://127.0.0.1:${port}/files/${pathOf(index)}`
    const answer = await fetch(url, { method: 'PUT', headers: PRODUCER, body: CONTENT })
    if (answer.status !== 201) throw new Error(`upload: ${answer.status} ${await answer.text()}`)
  }
  await checkContent(port)
  return { name: 'broker behind Nginx', port, processes: [nginx, broker.process] }
}

async function startStaticFront(): Promise<Front> {
  const directory = await serverDirectory()
  await writeFiles(join(directory, 'files'))
  const port = await freePort()
  const locations = `location /files/ { alias ${directory}/files/; }`
  await writeNginxConf(directory, { port, locations })
  const nginx = await startNginx(directory, port)
  await checkContent(port)
  return { name: 'Nginx, static file, no authorisation', port, processes: [nginx] }
}

async function startAcceleratedFront(): Promise<Front> {
  const directory = await serverDirectory()
  await writeFiles(join(directory, 'files'))
  const socket = join(directory, 'app.sock')
  const app = await ServerProcess.start(await serverDirectory(), process.execPath, [
    new URL('./servers/accelerating-app.ts', import.meta.url).pathname,
    socket,
  ])
  const port = await freePort()
  const locations = `location /files/ {
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass http://app;
    }
    location /-/serve/ { internal; alias ${directory}/files/; }`
  await writeNginxConf(directory, { port, locations, upstream: `unix:${socket}` })
  const nginx = await startNginx(directory, port)
  await app.ready(() => checkContent(port))
  const name = 'Nginx and a bare Fastify with X-Accel-Redirect, no authorisation'
  return { name, port, processes: [nginx, app] }
}

async function writeFiles(directory: string): Promise<void> {
  for (let index = 0; index < FILES; index += 1) {
    const path = join(directory, pathOf(index))
    await mkdir(dirname(path), { recursive: true })
    await writeFile(`${path}.new`, CONTENT)
    await rename(`${path}.new`, path)
  }
}

async function checkContent(port: number): Promise<true> {
  for (let index = 0; index < FILES; index += 1) {
    const url = `http://127.0.0.1:${port}/files/${pathOf(index)}`
    const answer = await fetch(url, { headers: CONSUMER })
    const content = Buffer.from(await answer.arrayBuffer())
    if (answer.status !== 200 || !content.equals(CONTENT)) {
      throw new Error(`${url}: ${answer.status} ${content.toString().slice(0, 300)}`)
    }
  }
  return true
}

function pathOf(index: number): string {
  return `bench/${String(index).padStart(4, '0')}.bin`
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'Authorised small downloads',
    notes: [
      `GET of ${FILES} files of ${FILE_BYTES} bytes in turn over ${CONNECTIONS} connections that ask again when answered ` +
        '(`wrk`, 2 threads). Each request to the broker carries a token; the broker decides, and Nginx, configured ' +
        'by `broker nginx`, sends the file. Broker and Fastify listen on a unix socket. Every Nginx has a worker ' +
        'for each core and writes its access log.',
      'Checked: every content before the runs; in them the status of each answer, and the bytes of all.',
    ],
    tried: [
      'An answer of the broker costs a look at the directory and one at the file. Each was a trip to a thread of the ' +
        'pool, four in all (readlink, open, fstat, close), which is 40 to 60 us of processor time; the same calls on ' +
        'the main thread are 8 us. With `lstat` in the place of open, fstat and close, without a trip: 8 k to 14 to 18 k ' +
        'requests/s. A pool of 16 threads in the place of 4: no difference.',
      'The directory asked where it is, and the file looked at through it, were 3.6 and 3.7 us; the file by its path is 1.5, once ' +
        'what is found must be what was told. The hooks of the plugin for forms, kept to uploads: 2 us. Names encoded to be ' +
        'measured: 1.5 us. Log lines written one by one: 3 us, and 10 on other threads. Together 70 to 56 us on the main thread, ' +
        'with all cores taken by others.',
      'Then, in parts of a hundred of the main thread at the time: no stream for a body that cannot come, 8; log lines gathered as ' +
        'bytes, since of text the library measures all that it has gathered with each line, 5. Not worth their lines: no promises where ' +
        'memory holds the entry and its link, 3; the description of a file written once, 4.5; the key of its inode made once, 3; ' +
        'series of histograms that are kept, 1; the code of Node in large pages (`--use-largepages=on`), 3, and 24 MB more of each ' +
        'process. Answers of a turn sent together: no difference.',
      'What is left, with all of these, beside the 11 us of Fastify, in us of the main thread: look at the file 2.5, log line 2, identity 2, 12 header ' +
        'fields 1.5, target and rights 1.2, collector 1; the rest is spread over Fastify, its hooks, promises and the longer ' +
        'head of a request, nothing of it above 0.6.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('requests/s'),
        median('p50 ms', formatDecimal),
        median('p99 ms', formatDecimal),
        median('server cores', formatDecimal),
        ratio('requests/s'),
      ]),
    ],
  }
}
