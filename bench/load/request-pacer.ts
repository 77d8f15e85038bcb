/** A process that sends requests at a pace, whatever becomes of those before, until it is told to end. */
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { clockMs } from '../measure/clock.ts'
import { BusyMeter, type LoadReport } from '../measure/load-report.ts'
import { answerCalls } from './process-calls.ts'

export interface PacedRequest {
  readonly name: string
  readonly port: number
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly status: number
}

export interface PaceOptions {
  /** Each of them at this pace. */
  readonly perSecond: number
  readonly requests: readonly PacedRequest[]
}

export interface Paced extends LoadReport {
  /** From when a request was due to its answer, by the name of the request; ascending. */
  readonly durations: Readonly<Record<string, Float64Array>>
  readonly fault: string | undefined
}

let isEnded = false
let paced: Promise<Paced> | undefined

const api = {
  start(options: PaceOptions): void {
    isEnded = false
    paced = pace(options)
    paced.catch(() => undefined)
  },

  async end(_: undefined): Promise<Paced> {
    isEnded = true
    if (paced === undefined) throw new Error('nothing was started')
    return paced
  },
}

/** What the process of the pacer can be asked for. */
export type RequestPacer = typeof api

answerCalls(api)

async function pace({ perSecond, requests }: PaceOptions): Promise<Paced> {
  const agent = new Agent({ keepAlive: true })
  const startedMs = clockMs()
  const busy = new BusyMeter()
  const durations = new Map<string, number[]>(requests.map(({ name }) => [name, []]))
  const running: Promise<void>[] = []
  let fault: string | undefined
  const send = async (each: PacedRequest, dueMs: number) => {
    const status = await answered(agent, each)
    durations.get(each.name)?.push(clockMs() - dueMs)
    if (status !== each.status) fault = `${each.name} was answered ${status}`
  }
  for (let index = 0; !isEnded; index += 1) {
    // Counted from when it was due: a broker that holds up one holds up those behind it.
    const dueMs = startedMs + (index * 1000) / perSecond
    // A timer takes whole milliseconds, and must not be early.
    await delay(Math.max(0, Math.ceil(dueMs - clockMs())))
    for (const each of requests) running.push(send(each, dueMs))
  }
  await Promise.all(running)
  agent.destroy()
  const sorted = [...durations].map(([name, list]) => [name, Float64Array.from(list).sort()])
  const report = { startedMs, endedMs: clockMs(), busySeconds: busy.seconds }
  return { ...report, durations: Object.fromEntries(sorted), fault }
}

async function answered(agent: Agent, each: PacedRequest): Promise<number | undefined> {
  const { port, method, path, headers, body } = each
  const length = { 'content-length': Buffer.byteLength(body) }
  const options = { port, host: '127.0.0.1', method, path, agent }
  const sent = request({ ...options, headers: { ...headers, ...length } })
  const [response] = (await once(sent.end(body), 'response')) as [IncomingMessage]
  await once(response.resume(), 'end')
  return response.statusCode
}
