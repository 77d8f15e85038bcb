import { WakeUp } from '../support/wake-up.ts'
import type { Address, OpenDoor } from './recovery-doors.ts'

/** A client that comes back after each drop, from the last position it was told. */
export class ResumingClient {
  readonly positions: string[] = []
  readonly events: Readonly<Record<string, unknown>>[] = []
  readonly #address: Address
  readonly #open: OpenDoor
  readonly #ready: () => Promise<void>
  #since = 'earliest'
  #connections = 0
  #stop: (() => void) | undefined
  #isStopped = false
  readonly #changed = new WakeUp()
  #fault: unknown

  /** @param ready - resolves when it is worth to connect */
  constructor(address: Address, open: OpenDoor, ready: () => Promise<void> = async () => {}) {
    this.#address = address
    this.#open = open
    this.#ready = ready
  }

  get connections(): number {
    return this.#connections
  }

  async run(): Promise<void> {
    for (;;) {
      await this.#ready()
      if (this.#isStopped) return
      this.#connections += 1
      const { closed, close } = this.#open(this.#address, this.#since, (told) => {
        if ('event' in told) this.#take(told.event, told.position)
        this.#since = told.position
      })
      this.#stop = close
      await closed
    }
  }

  /** Resolves when `count` events have come, or something came that should not. */
  async until(count: number): Promise<void> {
    while (this.positions.length < count && this.#fault === undefined) await this.#changed.next()
    if (this.#fault !== undefined) throw this.#fault
  }

  stop(): void {
    this.#isStopped = true
    this.#stop?.()
  }

  #take(event: Readonly<Record<string, unknown>>, position: string): void {
    const { type, data } = event
    if (type === 'EVENTS MISSED') this.#fault = new Error(`missed ${JSON.stringify(data)}`)
    this.positions.push(position)
    this.events.push(event)
    this.#changed.wake()
  }
}
