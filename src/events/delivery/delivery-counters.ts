import type { GapReason } from './gap.ts'
import type { Transport } from './sink.ts'

/** What streams were sent since the start, of this process or of several together. */
export interface DeliveryCounts {
  /** Events, once for each stream. */
  readonly sent: Readonly<Partial<Record<Transport, number>>>
  /** Gaps that were told. */
  readonly missed: Readonly<Partial<Record<GapReason, number>>>
  /** Connections that were ended since they took too little. */
  readonly slow: number
}

export class DeliveryCounters {
  #sent: Partial<Record<Transport, number>> = {}
  #missed: Partial<Record<GapReason, number>> = {}
  #slow = 0

  get counts(): DeliveryCounts {
    return { sent: this.#sent, missed: this.#missed, slow: this.#slow }
  }

  sent(transport: Transport, events: number): void {
    this.#sent[transport] = (this.#sent[transport] ?? 0) + events
  }

  missed(reason: GapReason, gaps = 1): void {
    this.#missed[reason] = (this.#missed[reason] ?? 0) + gaps
  }

  slow(connections = 1): void {
    this.#slow += connections
  }

  add({ sent, missed, slow }: DeliveryCounts): void {
    for (const [transport, events] of Object.entries(sent))
      this.sent(transport as Transport, events)
    for (const [reason, gaps] of Object.entries(missed)) this.missed(reason as GapReason, gaps)
    this.slow(slow)
  }

  /** The counts since the last call. */
  take(): DeliveryCounts {
    const { counts } = this
    this.#sent = {}
    this.#missed = {}
    this.#slow = 0
    return counts
  }
}
