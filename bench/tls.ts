import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { runWrk } from './load/wrk.ts'
import { contenderTable, formatDecimal, median, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { BROKER_COMMAND, PRODUCER, startBroker } from './servers/broker.ts'
import { NGINX_USER, startNginx } from './servers/nginx.ts'
import { freePort } from './servers/ports.ts'
import { type ServerProcess, serverDirectory } from './servers/server-process.ts'

const CONNECTIONS = 64
const BODY = JSON.stringify({ job: 'app', build: 42, log: 'x'.repeat(90) })

interface Door {
  readonly name: string
  readonly port: number
  readonly isTls: boolean
}

export const tls: Line = {
  name: 'tls',
  needs: ['nginx', 'wrk', 'openssl'],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker({ flags: ['--proxy', 'nginx'], isUnixSocket: true })
    cleanup.use(broker.process)
    const [plain, secure] = [await freePort(), await freePort()]
    const nginx = await startFront(broker.flags, plain, secure)
    cleanup.use(nginx)
    const doors: readonly Door[] = [
      { name: 'through Nginx, TLS', port: secure, isTls: true },
      { name: 'through Nginx, plain', port: plain, isTls: false },
    ]
    const seconds = isQuick ? 1 : 4
    const contenders = doors.map((door) => toContender(door, [broker.process, nginx], seconds))
    for (const contender of contenders) await contender.run()
    return section(await interleave(contenders, isQuick ? 2 : 5, tell))
  },
}

function toContender(
  { name, port, isTls }: Door,
  processes: readonly ServerProcess[],
  seconds: number,
): Contender {
  const busy = () => processes.reduce((sum, { pid }) => sum + processorSeconds(pid), 0)
  return {
    name,
    run: async () => {
      const before = busy()
      const headers = { ...PRODUCER, 'content-type': 'application/json' }
      const load = { method: 'POST', paths: ['/events/bench/tls'], headers, body: BODY } as const
      const size = { connections: CONNECTIONS, seconds, isUniform: false }
      const report = await runWrk({ port, isTls, ...load, ...size })
      return {
        figures: {
          'publishes/s': report.requestsPerSecond,
          'p50 ms': report.p50Ms,
          'p99 ms': report.p99Ms,
          'us a publish': ((busy() - before) / report.requests) * 1e6,
        },
        generatorCores: report.generatorCores,
        fault: report.fault,
      }
    },
  }
}

/** What `broker nginx` writes for both ports, with a certificate made for it. */
async function startFront(
  broker: readonly string[],
  plain: number,
  secure: number,
): Promise<ServerProcess> {
  const directory = await serverDirectory()
  const [certificate, key] = ['server.pem', 'server.key'].map((name) => join(directory, name))
  const pair = ['-out', certificate ?? '', '-keyout', key ?? '']
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  check(spawnSync('openssl', ['req', '-x509', ...curve, '-subj', '/CN=localhost', ...pair]))
  const flags = [
    ...['nginx', '--dir', directory, '--http', `127.0.0.1:${plain}`],
    ...['--https', `127.0.0.1:${secure}`],
    ...['--certificate', certificate ?? '', '--key', key ?? ''],
    ...['--zmq-subscribe', 'off', '--zmq-session', 'off'],
    ...(NGINX_USER === undefined ? [] : ['--user', NGINX_USER]),
  ]
  check(spawnSync(process.execPath, [BROKER_COMMAND, ...flags, ...broker]))
  return await startNginx(directory, plain)
}

function check({ status, stderr }: { status: number | null; stderr: Buffer }): void {
  if (status !== 0) throw new Error(`the front was not made: ${stderr}`)
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'TLS',
    notes: [
      `POST of one event of ${BODY.length} bytes over ${CONNECTIONS} kept connections that ask again when answered ` +
        '(`wrk`, 2 threads, HTTP/1.1), each with a token and each committed to the log before it is answered, through ' +
        'one Nginx that `broker nginx` configured with a plain port and one of TLS 1.3 and a P-256 certificate. ' +
        'The time of processors is that of broker and Nginx together. Handshakes are not in it.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('publishes/s'),
        median('p50 ms', formatDecimal),
        median('p99 ms', formatDecimal),
        median('us a publish', formatDecimal),
        ratio('publishes/s', 'TLS : it'),
      ]),
    ],
  }
}
