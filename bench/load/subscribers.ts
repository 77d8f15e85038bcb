/** A process that holds subscribers and counts what they are given. */
import { clockMs } from '../measure/clock.ts'
import { BusyMeter, type LoadReport } from '../measure/load-report.ts'
import { Histogram } from '../measure/percentiles.ts'
import { FrameCounter, StreamCounter, type StreamShape } from './message-counters.ts'
import { answerCalls } from './process-calls.ts'
import { SequenceCheck } from './sequence-check.ts'
import type { Subscriber } from './subscriber.ts'
import { SubscriberSocket, type SubscriberSocketOptions } from './subscriber-socket.ts'
import type { TopicGroup } from './topic-groups.ts'
import { ZmqSubscriber, type ZmqSubscriberOptions } from './zmq-subscriber.ts'

export type SubscriberOptions = SubscriberSocketOptions | ZmqSubscriberOptions

export interface CountOptions {
  /** Messages that each subscriber is to be given. */
  readonly messages: number
  /** The sequence is checked on every n-th subscriber; all are counted. */
  readonly checkEvery: number
  /** Undefined: a message is a WebSocket message. */
  readonly shape?: StreamShape | undefined
  readonly withLatency?: boolean
  /** The first so many read nothing until `thaw`, and are not waited for until then. */
  readonly frozen?: number
}

export interface Received extends LoadReport {
  /** Messages of all subscribers. */
  readonly messages: number
  /** Payload bytes of the frames of all subscribers. */
  readonly bytes: number
  readonly fault: string | undefined
  /** Of the checked subscribers, for `Histogram`. */
  readonly latencies: Uint32Array | undefined
}

/** Subscribers that open at once: more would overflow the backlog of the server. */
const OPENING_AT_ONCE = 50

let subscribers: Subscriber[] = []
let groups: (TopicGroup | undefined)[] = []
let checks: SequenceCheck[] = []
let latencies: Histogram | undefined
let expected = 0
let frozenSubscribers: readonly Subscriber[] = []
let unfinished = new Set<Subscriber>()
let startedMs = 0
let busy = new BusyMeter()
let finish: ((received: Received) => void) | undefined

const api = {
  /** Opens one for each of `options`. */
  async open(options: readonly SubscriberOptions[]): Promise<void> {
    subscribers = options.map(create)
    groups = options.map((each) => (each.protocol === 'websocket' ? each.group : undefined))
    for (let at = 0; at < subscribers.length; at += OPENING_AT_ONCE) {
      await Promise.all(subscribers.slice(at, at + OPENING_AT_ONCE).map((each) => each.open()))
    }
  },

  /** Counts from here on; `received` tells the outcome. */
  count({ messages, checkEvery, shape, withLatency = false, frozen = 0 }: CountOptions): void {
    checks = []
    latencies = withLatency ? new Histogram() : undefined
    expected = messages
    frozenSubscribers = subscribers.slice(0, frozen)
    unfinished = new Set(subscribers.slice(frozen))
    for (const subscriber of frozenSubscribers) subscriber.freeze?.()
    for (const [index, subscriber] of subscribers.entries()) {
      const isChecked = index % checkEvery === 0
      const measured = index < frozen ? undefined : latencies
      const options = { latencies: measured, group: groups[index] }
      const check = isChecked ? new SequenceCheck(options) : undefined
      if (check !== undefined) checks.push(check)
      subscriber.count(
        shape === undefined ? new FrameCounter(check) : new StreamCounter(shape, check),
      )
    }
    startedMs = clockMs()
    busy = new BusyMeter()
  },

  /** Resolves when every subscriber has been given all, or nothing has come for `patienceMs`. */
  received({ patienceMs }: { patienceMs: number }): Promise<Received> {
    const { promise, resolve } = Promise.withResolvers<Received>()
    let before = -1
    const timer = setInterval(() => {
      const now = given()
      if (now === before) finish?.(outcome(`${subscribers.length * expected - now} did not come`))
      before = now
    }, patienceMs)
    finish = (received) => {
      clearInterval(timer)
      finish = undefined
      resolve(received)
    }
    if (unfinished.size === 0) finish(outcome(undefined))
    return promise
  },

  /** As `received`, of those that were frozen: their fault when they are not given all after all. */
  async thaw(patience: { patienceMs: number }): Promise<string | undefined> {
    unfinished = new Set(frozenSubscribers)
    for (const subscriber of frozenSubscribers) subscriber.thaw?.()
    const { fault } = await api.received(patience)
    return fault
  },

  countOpen(_: undefined): number {
    return subscribers.filter(({ isClosed }) => !isClosed).length
  },

  close(_: undefined): void {
    for (const subscriber of subscribers) subscriber.close()
    subscribers = []
    frozenSubscribers = []
    unfinished = new Set()
  },
}

/** What the process of the subscribers can be asked for. */
export type Subscribers = typeof api

answerCalls(api)

function create(options: SubscriberOptions): Subscriber {
  return options.protocol === 'zmq'
    ? new ZmqSubscriber(options, changed)
    : new SubscriberSocket(options, changed)
}

function changed(subscriber: Subscriber): void {
  const count = subscriber.counter?.count ?? 0
  if (count > expected) finish?.(outcome('a subscriber got more than was sent'))
  if (subscriber.isClosed && unfinished.has(subscriber))
    finish?.(outcome('a subscriber was closed'))
  if (count < expected || !unfinished.delete(subscriber) || unfinished.size > 0) return
  finish?.(outcome(undefined))
}

/** Messages of all subscribers. */
function given(): number {
  return subscribers.reduce((sum, { counter }) => sum + (counter?.count ?? 0), 0)
}

function outcome(fault: string | undefined): Received {
  const counters = subscribers.flatMap(({ counter }) => counter ?? [])
  return {
    startedMs,
    endedMs: clockMs(),
    busySeconds: busy.seconds,
    messages: given(),
    bytes: counters.reduce((sum, { bytes }) => sum + bytes, 0),
    fault: fault ?? checks.find((check) => check.fault !== undefined)?.fault,
    latencies: latencies?.counts,
  }
}
