import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Settings } from '../settings/settings.ts'
import { formatListenAddress, type ListenAddress } from '../settings/settings-addresses.ts'
import { ok, problem, type Verdict, warning } from './finding.ts'

const ANSWER_MS = 5_000

/** A broker that runs with these settings, or else whether one could open its ports. */
export async function checkRunning(about: {
  readonly settings: Settings
  readonly version: string
}): Promise<readonly Verdict[]> {
  const { settings, version } = about
  const { listen, zmqSubscribe, zmqSession } = settings
  const zmq = [...zmqSubscribe, ...zmqSession]
  const place = formatListenAddress(listen)
  const home = await ask(listen, '/')
  if (home === undefined) {
    const tcp = listen.kind === 'tcp' ? [listen] : []
    return [ok('none runs'), ...(await Promise.all([...tcp, ...zmq].map(checkFree)))]
  }
  if (home.body['name'] !== 'data-broker') {
    return [problem(`another program answers on ${place}`, 'stop it, or choose another --listen')]
  }
  const running = home.body['version']
  return [
    running === version
      ? ok(`${version} runs on ${place}`)
      : warning(`${running} runs on ${place}, and this is ${version}`, 'start it anew'),
    await checkReady(listen),
    ...(await Promise.all(zmq.map(checkTaken))),
  ]
}

async function checkReady(listen: ListenAddress): Promise<Verdict> {
  const answer = await ask(listen, '/readyz')
  if (answer?.status === 200) return ok('it is ready')
  const parts = Object.entries(answer?.body['components'] ?? {}) as [string, Component][]
  const faulty = parts.filter(([, { ready }]) => !ready)
  const details = faulty.map(([name, { detail }]) => `${name}: ${detail ?? 'no reason is known'}`)
  return problem(`it is not ready; ${details.join('; ')}`, 'look at its log')
}

interface Component {
  readonly ready: boolean
  readonly detail?: string
}

interface TcpAddress {
  readonly host: string
  readonly port: number
}

/** Of an endpoint that no running broker has. */
async function checkFree(address: TcpAddress): Promise<Verdict> {
  const place = `${address.host}:${address.port}`
  const code = await bindFault(address)
  if (code === undefined) return ok(`${place} is free`)
  const fixes: Readonly<Record<string, string>> = {
    EADDRINUSE: `find who has it: ss -ltnp 'sport = :${address.port}'`,
    EADDRNOTAVAIL: 'name an address of this machine',
    EACCES: 'choose a port from 1024 on, and let Nginx have the other',
  }
  return problem(`${place} cannot be opened (${code})`, fixes[code] ?? 'choose another address')
}

/** Of an endpoint that the running broker should have. */
async function checkTaken(address: TcpAddress): Promise<Verdict> {
  const place = `${address.host}:${address.port}`
  const isTaken = (await bindFault(address)) === 'EADDRINUSE'
  return isTaken || address.port === 0
    ? ok(`ZeroMQ on ${place}`)
    : warning(`nothing listens on ${place}`, 'the broker runs with other settings: start it anew')
}

/** The code with which the system refuses to open it. */
async function bindFault({ host, port }: TcpAddress): Promise<string | undefined> {
  const server = createServer()
  try {
    server.listen({ port, ...(host !== '*' && { host }) })
    await once(server, 'listening')
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  } finally {
    server.close()
  }
}

interface Answer {
  readonly status: number | undefined
  readonly body: Readonly<Record<string, unknown>>
}

/** @returns undefined when nothing listens there */
async function ask(listen: ListenAddress, path: string): Promise<Answer | undefined> {
  const at =
    listen.kind === 'unix'
      ? { socketPath: listen.path }
      : { host: reachable(listen.host), port: listen.port }
  try {
    const asked = request({ ...at, path, agent: false, signal: AbortSignal.timeout(ANSWER_MS) })
    asked.end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    return { status: response.statusCode, body: parseObject(await text(response)) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'EADDRNOTAVAIL') return undefined
    // Something listens that does not speak HTTP, or does not answer.
    return { status: undefined, body: {} }
  }
}

/** One that is bound to all addresses is asked on the own. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

function parseObject(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
