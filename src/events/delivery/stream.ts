import type { Principal } from '../../auth/principal.ts'
import type { CloseReason } from '../../protocol/close-codes.ts'
import { formatPosition, type Since } from '../../protocol/position.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { isOfLog, type LogReader, type StoredEvent } from '../log/event-log.ts'
import { admitSubscriber } from './admission.ts'
import { Batch } from './batch.ts'
import type { Delivery, Membership } from './delivery.ts'
import { drained, MAX_BACKLOG_BYTES, StallWatch } from './drained.ts'
import { composeGap, type Gap } from './gap.ts'
import { mayReceive } from './may-receive.ts'
import { resumePoint } from './resume-point.ts'
import type { Sink } from './sink.ts'
import type { SubscribeProgress } from './subscribe-progress.ts'
import { ToldLoss } from './told-loss.ts'
import { unservedBy } from './unserved.ts'

/** A stream that was sent nothing for this long is told its position. */
export const QUIET_MS = 15_000

/** Events of one read of the log: bounds how long one connection's replay keeps the loop. */
const REPLAY_EVENTS = 500

export interface StreamDeps {
  readonly log: LogReader
  readonly delivery: Delivery
  readonly sink: Sink
}

/**
 * One connection's way through the log:
 *
 *     subscribe ──> replaying ──(at the head)──> live ──(backlog over the cap)──> replaying ...
 *
 * While replaying it reads the log at the pace of its socket; live it is one of an audience. An event is
 * delivered once, in the order of the log, whatever filters it matches.
 */
export class Stream implements Disposable {
  readonly #log: LogReader
  readonly #delivery: Delivery
  readonly #sink: Sink
  #principal: Principal
  /** Each filter with the offset after which it is served. */
  readonly #filters = new Map<TopicFilter, number>()
  /** While not live: everything that was asked for up to here has been delivered. */
  #cursor: number
  /** During a replay for new filters, how far that has come. */
  #replayed: number | undefined
  readonly #toldLoss = new ToldLoss()
  /** While live. */
  #membership: Membership | undefined
  /** Subscriptions and replays take turns. */
  #turn: Promise<void> = Promise.resolve()
  #isClosed = false
  #lastWrite = performance.now()
  readonly #stall = new StallWatch()

  constructor({ log, delivery, sink }: StreamDeps, principal: Principal) {
    this.#log = log
    this.#delivery = delivery
    this.#sink = sink
    this.#principal = principal
    this.#cursor = log.head
  }

  get principal(): Principal {
    return this.#principal
  }

  get filters(): ReadonlySet<TopicFilter> {
    return new Set(this.#filters.keys())
  }

  /** The sink was given all that was asked for up to here: a client may come back to it. */
  get position(): string {
    const isComplete = this.#filters.size === 0 || this.#membership?.isComplete === true
    return this.#format(isComplete ? this.#log.head : (this.#replayed ?? this.#cursor))
  }

  /**
   * Adds filters. What they ask for after `since` is replayed, unless an older filter delivered it; live
   * events follow.
   *
   * @throws {BrokerError} `FORBIDDEN` or `UNAUTHENTICATED` when nothing of a filter may be received
   */
  async subscribe(
    filters: readonly TopicFilter[],
    since: Since,
    progress: SubscribeProgress = {},
  ): Promise<void> {
    for (const filter of filters) admitSubscriber(this.#principal, filter)
    await this.#inTurn(async () => {
      // What the client knows of may not have arrived in this process yet.
      if (typeof since === 'object' && !isOfLog(since, this.#log)) await this.#log.refresh?.()
      this.#leave()
      // Behind when its socket is full: older filters come first, so that one position holds for all.
      while (!this.#isClosed && this.#cursor < this.#log.head) {
        await this.#catchUp()
        this.#leave()
      }
      if (this.#isClosed) return
      const head = this.#cursor
      const { start, gap, lossTold } = await resumePoint(this.#log, filters, since, head)
      if (this.#isClosed) return
      // What was committed while the log was asked, and is lost already, older filters were to be served.
      this.#toldLoss.begin(head, lossTold)
      // What was judged meanwhile was judged of older filters: these are served from here.
      this.#cursor = head
      this.#replayed = start
      const older = new Map(this.#filters)
      for (const filter of filters) {
        this.#filters.set(filter, Math.min(start, this.#filters.get(filter) ?? start))
      }
      this.#delivery.subscribers.add(this.#sink)
      progress.accepted?.({ position: this.#format(start), recovered: gap === undefined })
      if (gap !== undefined) this.#tellGap(gap, start)
      await this.#replay(start, head, filters, older)
      this.#replayed = undefined
      if (since !== 'latest' && !this.#isClosed) progress.replayed?.(this.#format(head))
      await this.#catchUp()
    })
  }

  async unsubscribe(filters: readonly TopicFilter[]): Promise<void> {
    await this.#inTurn(async () => {
      this.#leave()
      for (const filter of filters) this.#filters.delete(filter)
      if (this.#filters.size === 0) this.#delivery.subscribers.delete(this.#sink)
      await this.#catchUp()
    })
  }

  /** Judges the connection by the users table now in force; `undefined` when its credential is gone. */
  judge(principal: Principal | undefined): void {
    if (principal === undefined) {
      const { expiresMs = Infinity } = this.#principal.credential ?? {}
      const end = expiresMs <= Date.now() ? 'has expired' : 'was removed'
      this.#end('unauthenticated', `the credential ${end}`)
      return
    }
    const { rights } = principal
    const hasChanged = rights !== this.#principal.rights
    this.#principal = principal
    if (!hasChanged) return
    const hadFilters = this.#filters.size > 0
    this.#leave()
    for (const filter of [...this.#filters.keys()]) {
      if (!rights.overlaps('subscribe', filter)) this.#filters.delete(filter)
    }
    if (hadFilters && this.#filters.size === 0) this.#end('forbidden')
    else this.#goOn()
  }

  /**
   * Once a second: ends a connection that takes nothing, and tells the head to one that is live, complete and
   * was sent nothing for `quietMs`.
   */
  tick(quietMs: number): void {
    if (this.#stall.isStalled(this.#sink)) {
      this.#end('slowConsumer')
      return
    }
    if (this.#membership?.isComplete !== true) return
    if (performance.now() - this.#lastWrite < quietMs) return
    this.#lastWrite = performance.now()
    this.#cursor = this.#log.head
    this.#sink.position(this.#format(this.#cursor))
  }

  /** Stops; the socket is its owner's to close. */
  [Symbol.dispose](): void {
    this.#isClosed = true
    this.#delivery.subscribers.delete(this.#sink)
    this.#leave()
  }

  /** Delivers what `filters` ask for in (`from`, `to`], but not what `older` ones delivered. */
  async #replay(
    from: number,
    to: number,
    filters: readonly TopicFilter[],
    older: ReadonlyMap<TopicFilter, number>,
  ): Promise<void> {
    const isUnserved = unservedBy(older)
    const isNew = (event: StoredEvent) => event.offset <= to && isUnserved(event)
    for (let at = from; at < to && !this.#isClosed; ) {
      const { events, through } = await this.#read(at, filters, to)
      at = Math.min(through, to)
      this.#replayed = at
      this.#write(events.filter(isNew), at)
      if (!this.#isClosed) await drained(this.#sink)
    }
  }

  /** Reads on from the cursor until nothing is left to read, then goes live. */
  async #catchUp(): Promise<void> {
    const filters = [...this.#filters.keys()]
    while (!this.#isClosed && this.#membership === undefined && filters.length > 0) {
      await drained(this.#sink)
      if (this.#isClosed) return
      // No turn of the loop lies between this look at the head and joining.
      if (this.#cursor >= this.#log.head) return this.#join()
      const { events, through } = await this.#read(this.#cursor, filters)
      this.#write(events, through)
      this.#cursor = through
    }
  }

  /** Reads a stretch; what was trimmed away through `to` before it could be read is told. */
  async #read(after: number, filters: readonly TopicFilter[], to = Infinity) {
    const page = await this.#log.read({ after, filters, limit: REPLAY_EVENTS })
    const lost = await this.#log.lossAfter(after, filters)
    const loss = lost && this.#toldLoss.next(lost, after, to)
    if (loss === undefined) return page
    if (this.#sink.isResumable) this.#end('slowConsumer')
    const data = { since: this.#format(after), resumed: this.#format(loss.resumed) }
    this.#tellGap({ ...data, reason: 'slow' }, loss.resumed)
    // Trimmed while it was being read: what is told to be lost does not come after all.
    return { ...page, events: page.events.filter(({ offset }) => offset > loss.resumed) }
  }

  #write(events: readonly StoredEvent[], through: number): void {
    const { rights } = this.#principal
    const visible = events.filter(({ topic }) => mayReceive(rights, topic))
    this.#send(visible, through)
  }

  #send(events: readonly StoredEvent[], through: number): void {
    if (events.length === 0 || this.#isClosed) return
    const { encoding } = this.#sink
    this.#give(new Batch(events, through, { encoding, epoch: this.#log.epoch }))
  }

  #tellGap(gap: Gap, offset: number): void {
    if (this.#isClosed) return
    this.#delivery.counters.missed(gap.reason)
    this.#send([composeGap(gap, this.#log.epoch, offset)], offset)
  }

  #give(batch: Batch): void {
    this.#lastWrite = performance.now()
    const { transport } = this.#sink
    if (transport !== undefined) this.#delivery.counters.sent(transport, batch.events.length)
    this.#sink.deliver(batch)
  }

  /** Of an audience: what is new, or the moment to leave it. */
  #deliver(batch: Batch): void {
    if (this.#isClosed) return
    if (this.#sink.backlogBytes > MAX_BACKLOG_BYTES) {
      // This batch is not taken: the log has it when the socket is ready.
      const membership = this.#membership
      this.#membership = undefined
      membership?.[Symbol.dispose]()
      this.#goOn()
      return
    }
    this.#cursor = batch.through
    this.#give(batch)
  }

  #join(): void {
    const interest = {
      encoding: this.#sink.encoding,
      rights: this.#principal.rights,
      filters: [...this.#filters.keys()].sort(),
    }
    this.#membership = this.#delivery.join(interest, { deliver: (batch) => this.#deliver(batch) })
  }

  #leave(): void {
    const membership = this.#membership
    membership?.[Symbol.dispose]()
    const wasLive = membership !== undefined && this.#membership === membership
    this.#membership = undefined
    // A member is complete when it has left, unless leaving showed that its socket is full.
    if (wasLive || this.#filters.size === 0) this.#cursor = this.#log.head
  }

  /** A log that cannot be read must not leave a connection that is open and hears nothing. */
  #goOn(): void {
    this.#inTurn(() => this.#catchUp()).catch(() => this.#end('goingAway'))
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(() => (this.#isClosed ? undefined : work()))
    this.#turn = turn.catch(() => {})
    return turn
  }

  #format(offset: number): string {
    return formatPosition(this.#log.epoch, offset)
  }

  #end(reason: CloseReason, detail?: string): void {
    if (reason === 'slowConsumer') this.#delivery.counters.slow()
    this[Symbol.dispose]()
    this.#sink.end(reason, detail)
  }
}
