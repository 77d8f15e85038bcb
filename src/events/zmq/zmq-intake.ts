/** Commands and bytes in work at once, over all peers: beyond them nothing is read. */
const MAX_WORKING = { commands: 4096, bytes: 32 * 1024 * 1024 }

/** Bytes of commands that wait for a peer that does not read its replies, over all peers. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024

/**
 * Bounds what the commands of all peers hold in memory. Work comes to its end by itself: while there is
 * too much of it nothing is read, and TCP slows the senders down. What waits for a peer may wait for ever:
 * of that, what is too much is refused.
 */
export class ZmqIntake {
  #commands = 0
  #bytes = 0
  #waitingBytes = 0
  #onReady: (() => void) | undefined

  begin(bytes: number): void {
    this.#commands += 1
    this.#bytes += bytes
  }

  end(bytes: number): void {
    this.#commands -= 1
    this.#bytes -= bytes
    if (this.#isFull) return
    this.#onReady?.()
    this.#onReady = undefined
  }

  /** Undefined when more may be read now; otherwise resolves when that is so. For one reader. */
  ready(): Promise<void> | undefined {
    if (!this.#isFull) return undefined
    return new Promise((resolve) => {
      this.#onReady = resolve
    })
  }

  /** False when there is no room for `bytes` to wait; otherwise they are counted. */
  tryWait(bytes: number): boolean {
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) return false
    this.#waitingBytes += bytes
    return true
  }

  endWait(bytes: number): void {
    this.#waitingBytes -= bytes
  }

  get #isFull(): boolean {
    return this.#commands >= MAX_WORKING.commands || this.#bytes >= MAX_WORKING.bytes
  }
}
