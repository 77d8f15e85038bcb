import { type StatsListener, unwatchFile, watchFile } from 'node:fs'
import type { FilePath } from '../../protocol/file-path.ts'
import { Reconciler, type ReconcilerDeps } from './reconciler.ts'
import type { HintOrigin } from './settle.ts'

export interface SingleFileWatchOptions {
  /** On disk; a symbolic link is followed. */
  readonly file: string
  /** What it is served as. */
  readonly path: FilePath
  readonly settleMs: number
}

/** Twice as often as an editor's change must be in force. */
const POLL_MS = 250

/**
 * Keeps the index true to one file, wherever it lies: the directory around it is nobody's volume, so
 * nothing else in it is looked at. Polled, since an editor's rename would leave a watch on the old inode.
 */
export class SingleFileWatch implements AsyncDisposable {
  readonly #options: SingleFileWatchOptions
  readonly #deps: ReconcilerDeps
  readonly #reconciler: Reconciler
  readonly #look: StatsListener = () => void this.#hint('disk')

  constructor(options: SingleFileWatchOptions, deps: ReconcilerDeps) {
    this.#options = options
    this.#deps = deps
    this.#reconciler = new Reconciler({ settleMs: options.settleMs }, deps)
  }

  /** Resolves when a change made before is told; of a file that is new to the index, recorded. */
  async start(): Promise<void> {
    const { file, path } = this.#options
    watchFile(file, { interval: POLL_MS, persistent: false }, this.#look)
    const isKnown = (await this.#deps.index.get(path)) !== undefined
    await this.#hint(isKnown ? 'offline' : 'silent')
    await this.#reconciler.idle()
  }

  /** Tells a difference at once. The caller holds the lock of the path. */
  reconcile(): Promise<void> {
    return this.#reconciler.reconcile(this.#options.path)
  }

  /** Resolves when a change made before this call is told. */
  async sync(): Promise<void> {
    await this.#hint('disk')
    await this.#reconciler.idle()
  }

  async close(): Promise<void> {
    unwatchFile(this.#options.file, this.#look)
    await this.#reconciler.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #hint(origin: HintOrigin): Promise<void> {
    const { path } = this.#options
    try {
      const seen = (await this.#deps.content.look(path))?.fingerprint ?? null
      this.#reconciler.hint({ path, origin, isEvent: origin === 'disk', seen })
    } catch (err) {
      this.#deps.log.warn({ event: 'files.watch', path, err }, 'a file cannot be looked at')
    }
  }
}
