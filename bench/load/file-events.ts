/** A process with a subscriber that notes when the event of each file came. */
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { clockMs } from '../measure/clock.ts'
import { answerCalls } from './process-calls.ts'

export interface FileEventsOptions {
  readonly port: number
  readonly filter: string
  readonly headers: Readonly<Record<string, string>>
}

/** When nothing comes for so long, the rest is lost. */
const PATIENCE_MS = 5000

let socket: WebSocket | undefined
let cameMs = new Map<string, number>()
let twice: string | undefined
let came: () => void = () => undefined

const api = {
  async subscribe({ port, filter, headers }: FileEventsOptions): Promise<void> {
    socket = new WebSocket(`ws://127.0.0.1:${port}/events/${filter}`, { headers })
    socket.on('message', (message: Buffer) => {
      const nowMs = clockMs()
      const { type, subject } = JSON.parse(message.toString()) as Record<string, unknown>
      if (type !== 'FILE CREATED' || typeof subject !== 'string') return
      if (cameMs.has(subject)) twice = subject
      cameMs.set(subject, nowMs)
      came()
    })
    await once(socket, 'open')
  },

  /** Resolves with when each came, on the clock of `clock.ts`, by path; forgets them. */
  async take({ events }: { readonly events: number }): Promise<ReadonlyMap<string, number>> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(
      () => reject(new Error(`${events - cameMs.size} of ${events} events did not come`)),
      PATIENCE_MS,
    )
    came = () => {
      if (cameMs.size >= events) resolve()
    }
    came()
    await promise.finally(() => clearTimeout(timer))
    if (twice !== undefined) throw new Error(`the event of ${twice} came twice`)
    const taken = cameMs
    cameMs = new Map()
    return taken
  },
}

/** What the process of the subscriber can be asked for. */
export type FileEvents = typeof api

answerCalls(api)
