import type { Batch } from '../../src/events/delivery/batch.ts'
import { NDJSON_ENCODING } from '../../src/events/delivery/encoding.ts'
import type { Sink } from '../../src/events/delivery/sink.ts'
import type { StoredEvent } from '../../src/events/log/event-log.ts'
import type { CloseReason } from '../../src/protocol/close-codes.ts'

/** A socket that a test fills and empties by hand. */
export class RecordingSink implements Sink {
  readonly encoding = NDJSON_ENCODING
  readonly transport = 'ndjson'
  readonly isResumable: boolean
  readonly events: StoredEvent[] = []
  readonly positions: string[] = []
  backlogBytes = 0
  takenBytes = 0
  ended: CloseReason | undefined
  #drained: (() => void)[] = []
  #changed = Promise.withResolvers<void>()

  constructor({ isResumable = false } = {}) {
    this.isResumable = isResumable
  }

  get data(): unknown[] {
    return this.events.map(({ json }) => JSON.parse(json.toString()).data)
  }

  deliver(batch: Batch): void {
    this.events.push(...batch.events)
    this.#announce()
  }

  onceDrained(callback: () => void): void {
    if (this.backlogBytes === 0) callback()
    else this.#drained.push(callback)
  }

  position(position: string): void {
    this.positions.push(position)
  }

  end(reason: CloseReason): void {
    this.ended = reason
    this.#announce()
  }

  /** The kernel takes everything. */
  drain(): void {
    this.backlogBytes = 0
    const callbacks = this.#drained
    this.#drained = []
    for (const callback of callbacks) callback()
  }

  /** Resolves when `condition` holds, looked at after each delivery. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise
  }

  #announce(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}
