import type { TestContext } from 'node:test'
import type { EventDraft } from '../../src/events/log/event-log.ts'
import { MemoryEventLog } from '../../src/events/log/memory-event-log.ts'

/** Lets no event log in memory commit anything before it is released. */
export class HeldLog implements Disposable {
  readonly #released = Promise.withResolvers<void>()

  /** @param onAppend - told of what is to wait */
  constructor({ mock }: TestContext, onAppend: (drafts: readonly EventDraft[]) => void) {
    const released = this.#released.promise
    const { append } = MemoryEventLog.prototype
    mock.method(
      MemoryEventLog.prototype,
      'append',
      async function (this: MemoryEventLog, drafts: readonly EventDraft[]) {
        onAppend(drafts)
        await released
        return append.call(this, drafts)
      },
    )
  }

  release(): void {
    this.#released.resolve()
  }

  /** A broker that closes waits for its log. */
  [Symbol.dispose](): void {
    this.release()
  }
}
