import { openEnvelope, type ZmqEnvelope } from './zmq-command.ts'
import type { ZmqIntake } from './zmq-intake.ts'

/** A command that waits for its turn. */
export interface WaitingCommand {
  readonly kind: 'command'
  readonly envelope: ZmqEnvelope
  readonly bytes: number
  /** Of them, what counts as waiting. */
  readonly waitingBytes: number
}

/** Commands that came when there was no room: what is left of them is their number. */
interface Refused {
  readonly kind: 'refused'
  readonly isRequest: boolean
  count: number
}

/** The next to be answered: a command, or a refusal in the place of one. */
export type NextCommand = WaitingCommand | { readonly kind: 'refused'; readonly isRequest: boolean }

/** Commands of one peer that may wait, and their bytes. */
const MAX_WAITING = { commands: 1024, bytes: 4 * 1024 * 1024 }

/** The commands of one peer in the order in which they came. None is lost: each gets its reply. */
export class ZmqCommandQueue {
  readonly #intake: ZmqIntake
  #waitingBytes = 0
  #queue: (WaitingCommand | Refused)[] = []

  constructor(intake: ZmqIntake) {
    this.#intake = intake
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  /** @returns false when it is refused */
  push(frames: readonly Buffer[]): boolean {
    const envelope = openEnvelope(frames)
    const bytes = frames.reduce((sum, { length }) => sum + length, 0)
    // The first costs no room: peers that fill it cannot keep the others from being served.
    const waitingBytes = this.isEmpty ? 0 : bytes
    if (this.#hasRoom(waitingBytes)) {
      this.#waitingBytes += waitingBytes
      this.#queue.push({ kind: 'command', envelope, bytes, waitingBytes })
      return true
    }
    const last = this.#queue.at(-1)
    if (last?.kind === 'refused') last.count += 1
    else this.#queue.push({ kind: 'refused', isRequest: envelope.isRequest, count: 1 })
    return false
  }

  peek(): NextCommand | undefined {
    return this.#queue[0]
  }

  shift(): void {
    const [first] = this.#queue
    if (first?.kind === 'refused' && first.count > 1) {
      first.count -= 1
      return
    }
    this.#queue.shift()
    if (first?.kind === 'command') this.#free(first.waitingBytes)
  }

  clear(): void {
    this.#free(this.#waitingBytes)
    this.#queue = []
  }

  #hasRoom(bytes: number): boolean {
    return (
      this.#queue.length < MAX_WAITING.commands &&
      this.#waitingBytes + bytes <= MAX_WAITING.bytes &&
      this.#intake.tryWait(bytes)
    )
  }

  #free(bytes: number): void {
    this.#waitingBytes -= bytes
    this.#intake.endWait(bytes)
  }
}
