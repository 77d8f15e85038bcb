import { clockMs } from '../measure/clock.ts'
import type { Run } from '../measure/interleaved.ts'
import { busiestCores, type LoadReport } from '../measure/load-report.ts'
import { Histogram } from '../measure/percentiles.ts'
import { processorSeconds } from '../measure/processor-time.ts'
import type { StreamShape } from './message-counters.ts'
import { CalledProcess } from './process-calls.ts'
import type { Received, SubscriberOptions, Subscribers } from './subscribers.ts'

/** A server with subscribers and a way to make it send. */
export interface FanOutTarget {
  readonly pid: number
  /** Taken in turn. */
  readonly subscribers: readonly SubscriberOptions[]
  /** Messages that are sent for each one that a subscriber is given; 1 without. */
  readonly sentPerGiven?: number
  readonly shape?: StreamShape | undefined
  /** Makes ready to send `messages`; what it returns sends them. */
  prepare(
    messages: number,
  ): Promise<() => Promise<Pick<LoadReport, 'startedMs'> & Partial<LoadReport>>>
}

export interface FanOutSize {
  readonly subscribers: number
  readonly messages: number
  /** Measures also how long each message takes, on every connection. */
  readonly withLatency?: boolean
  /** Subscribers that read nothing until all others have everything; then they must get it too. */
  readonly frozen?: number
}

export interface FanOutRun extends Run {
  /** Bytes of one message as it left, without the header of its frame. */
  readonly messageBytes: number
}

/**
 * The sequence is checked on every n-th connection: on all of them the check would be the load. Has no
 * divisor in common with the number of groups, so that each of them is looked at.
 */
const CHECK_EVERY = 9

/** When nothing comes for so long, the rest is lost. */
const PATIENCE_MS = 5000

/** The processes of the subscribers: two, so that neither is what is measured. */
export class FanOutLoad implements AsyncDisposable {
  readonly #processes = Array.from({ length: 2 }, () =>
    CalledProcess.start<Subscribers>(new URL('./subscribers.ts', import.meta.url)),
  )

  /** Subscribes, sends, waits until everything has come to everybody, and leaves. */
  async run(target: FanOutTarget, size: FanOutSize): Promise<FanOutRun> {
    const { subscribers, messages, withLatency = false } = size
    const frozen = (size.frozen ?? 0) / this.#processes.length
    const send = await target.prepare(messages)
    await this.open(target.subscribers, subscribers)
    const { shape, sentPerGiven = 1 } = target
    const expected = messages / sentPerGiven
    const checkEvery = withLatency ? 1 : CHECK_EVERY
    const count = { messages: expected, checkEvery, shape, withLatency, frozen }
    await this.#all((each) => each.call('count', count))
    const serverBefore = processorSeconds(target.pid)
    const waiting = this.#all((each) => each.call('received', { patienceMs: PATIENCE_MS }))
    const publishing = send()
    const received = await waiting
    const sent = await publishing
    const serverSeconds = processorSeconds(target.pid) - serverBefore
    const thawed = await this.#all((each) => each.call('thaw', { patienceMs: PATIENCE_MS }))
    await this.close()

    const seconds = (Math.max(...received.map(({ endedMs }) => endedMs)) - sent.startedMs) / 1000
    const delivered = sum(received, 'messages')
    const bytes = sum(received, 'bytes')
    return {
      figures: {
        'deliveries/s': delivered / seconds,
        'MB/s': bytes / seconds / 1e6,
        'server cores': serverSeconds / seconds,
        seconds,
        ...latencyFigures(received),
      },
      generatorCores: busiestCores([...received, loadOf(sent)], seconds),
      fault: [...received.map(({ fault }) => fault), ...thawed].find((each) => each !== undefined),
      messageBytes: bytes / delivered,
    }
  }

  async open(kinds: readonly SubscriberOptions[], subscribers: number): Promise<void> {
    const options = Array.from(
      { length: subscribers / this.#processes.length },
      (_, index) => kinds[index % kinds.length],
    ).filter((each) => each !== undefined)
    await this.#all((each) => each.call('open', options))
  }

  async countOpen(): Promise<number> {
    const counts = await this.#all((each) => each.call('countOpen', undefined))
    return counts.reduce((total, count) => total + count, 0)
  }

  async close(): Promise<void> {
    await this.#all((each) => each.call('close', undefined))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#all((each) => each[Symbol.asyncDispose]())
  }

  #all<Result>(work: (each: CalledProcess<Subscribers>) => Promise<Result>): Promise<Result[]> {
    return Promise.all(this.#processes.map(work))
  }
}

function latencyFigures(received: readonly Received[]): Readonly<Record<string, number>> {
  const histogram = new Histogram()
  let isEmpty = true
  for (const { latencies } of received) {
    if (latencies === undefined) continue
    histogram.merge(new Histogram(latencies))
    isEmpty = false
  }
  if (isEmpty) return {}
  return { 'p50 ms': histogram.percentile(0.5), 'p99 ms': histogram.percentile(0.99) }
}

function loadOf(sent: Partial<LoadReport>): LoadReport {
  return { startedMs: 0, endedMs: clockMs(), busySeconds: 0, ...sent }
}

function sum(received: readonly Received[], key: 'messages' | 'bytes'): number {
  return received.reduce((total, each) => total + each[key], 0)
}
