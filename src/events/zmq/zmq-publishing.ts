import type { EventDraft } from '../log/event-log.ts'
import { type Publisher, type Receipt, withoutIndex } from '../publish/publisher.ts'

/** A command whose answer comes in the order of those that were taken. */
export interface TakenCommand {
  /** What it publishes; or why it publishes nothing. */
  readonly event: EventDraft | Failure
  /** Never throws. */
  answer(outcome: Receipt | Failure): void
}

/** Why an event is not in the log. */
export interface Failure {
  readonly error: unknown
}

/** Most of a group: the log is not to wait for long, while there is much to read. */
const MAX_GROUP = { commands: 128, bytes: 256 * 1024 }

/**
 * Publishes of all peers that are read in the same turn reach the log as one append, since an append costs
 * more than the event in it. They are answered in the order in which they came.
 */
export class ZmqPublishing {
  readonly #publisher: Pick<Publisher, 'append'>
  #group: TakenCommand[] = []
  #bytes = 0
  /** Resolves when all groups so far are answered. */
  #answers: Promise<void> = Promise.resolve()

  constructor(publisher: Pick<Publisher, 'append'>) {
    this.#publisher = publisher
  }

  take(command: TakenCommand): void {
    const { event } = command
    // The log may refuse it for its identity, and then all that it is appended with.
    const isAlone = 'json' in event && event.identity !== undefined
    if (isAlone) this.flush()
    if (this.#group.length === 0) setImmediate(() => this.flush())
    this.#group.push(command)
    if ('json' in event) this.#bytes += event.json.length
    const isFull = this.#group.length >= MAX_GROUP.commands || this.#bytes >= MAX_GROUP.bytes
    if (isAlone || isFull) this.flush()
  }

  /** Gives the log what was taken so far. */
  flush(): void {
    const group = this.#group
    if (group.length === 0) return
    this.#group = []
    this.#bytes = 0
    const drafts = group.flatMap(({ event }) => ('json' in event ? event : []))
    const outcomes = this.#append(drafts)
    this.#answers = this.#answers.then(async () => answer(group, await outcomes))
  }

  /** One outcome for each draft. Never rejects. */
  async #append(drafts: readonly EventDraft[]): Promise<readonly (Receipt | Failure)[]> {
    if (drafts.length === 0) return []
    try {
      return await this.#publisher.append(drafts, 'zmq')
    } catch (error) {
      const failure = { error: withoutIndex(error) }
      return drafts.map(() => failure)
    }
  }
}

function answer(group: readonly TakenCommand[], outcomes: readonly (Receipt | Failure)[]): void {
  let published = 0
  for (const command of group) {
    const outcome = 'error' in command.event ? command.event : outcomes[published++]
    if (outcome !== undefined) command.answer(outcome)
  }
}
