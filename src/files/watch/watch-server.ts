import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { TreeNames } from './tree-names.ts'
import { TreeScan } from './tree-scan.ts'
import { TreeWatch } from './tree-watch.ts'
import {
  ChokidarDirectories,
  type DirectoryEvents,
  type DirectoryWatches,
} from './watch-directories.ts'
import type { WatchCommand, WatchReply, WatchSettings } from './watch-messages.ts'

/** The half of a message port that the serving side needs; a worker's parent port is one. */
export interface WatchPort {
  postMessage(reply: WatchReply, transfer?: readonly ArrayBuffer[]): void
  on(event: 'message', listener: (command: WatchCommand) => void): void
  close(): void
}

export interface WatchServerDeps {
  /** Watches directories; by chokidar when left out. */
  readonly watch?: (events: DirectoryEvents) => DirectoryWatches
  readonly maxQueuedEvents?: number
}

const CLOSE_TIMEOUT_MS = 500

/** Serves one tree: watches it, walks it, and says what it sees. */
export function serveWatch(
  port: WatchPort,
  settings: WatchSettings,
  deps: WatchServerDeps = {},
): void {
  const server = new WatchServer(port, settings, deps)
  port.on('message', (command) => server.obey(command))
}

class WatchServer {
  readonly #port: WatchPort
  readonly #settings: WatchSettings
  readonly #tree: TreeWatch
  readonly #scans = new Map<number, TreeScan>()

  constructor(port: WatchPort, settings: WatchSettings, deps: WatchServerDeps) {
    this.#port = port
    this.#settings = settings
    this.#tree = new TreeWatch(settings, {
      watch: deps.watch ?? ((events) => new ChokidarDirectories(events)),
      maxQueuedEvents: deps.maxQueuedEvents ?? maxQueuedEvents(),
      onHints: (hints) => port.postMessage({ kind: 'hints', hints }),
      onCoverage: (coverage) => port.postMessage({ kind: 'coverage', coverage }),
      onTrouble: (error) => port.postMessage({ kind: 'trouble', error }),
    })
  }

  obey(command: WatchCommand): void {
    if (command.kind === 'close') void this.#close()
    else this.#answer(command).catch((error: Error) => this.#fail(command.id, error))
  }

  async #answer(command: Exclude<WatchCommand, { kind: 'close' }>): Promise<void> {
    const { kind, id } = command
    if (kind === 'cover') await this.#tree.cover(command.fresh)
    else if (kind === 'cookie') await this.#tree.cookie(id)
    else if (kind === 'stop') this.#scans.delete(id)
    else {
      if (kind === 'scan') {
        const { root } = this.#settings
        this.#scans.set(id, new TreeScan(new TreeNames(this.#settings), root, command.path))
      }
      this.#scanOn(id)
      return
    }
    this.#port.postMessage({ kind: 'done', id })
  }

  #scanOn(id: number): void {
    const scan = this.#scans.get(id)
    if (scan === undefined) return
    const batch = scan.next()
    if (batch !== undefined) {
      this.#port.postMessage({ kind: 'batch', id, batch }, [batch.numbers.buffer])
      return
    }
    this.#scans.delete(id)
    this.#port.postMessage({ kind: 'end', id, counts: scan.counts })
  }

  #fail(id: number, error: Error): void {
    this.#scans.delete(id)
    this.#port.postMessage({ kind: 'failed', id, error })
  }

  async #close(): Promise<void> {
    this.#scans.clear()
    // chokidar may wait for ever for a directory that vanished: nothing is lost by not waiting for it.
    const closed = this.#tree[Symbol.asyncDispose]()
    await Promise.race([closed, delay(CLOSE_TIMEOUT_MS, undefined, { ref: false })])
    this.#port.close()
  }
}

function maxQueuedEvents(): number {
  try {
    return Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8')) || 16_384
  } catch {
    return 16_384
  }
}
