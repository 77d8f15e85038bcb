import type { Messages } from './terminal.ts'

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
const REDRAW_MS = 100
const BAR_WIDTH = 24

export interface Progress {
  readonly label: string
  readonly doneBytes: number
  readonly totalBytes: number | undefined
  readonly elapsedMs: number
}

/** One line of at most `columns - 1` characters: a full line would make some terminals wrap. */
export function renderProgress(progress: Progress, columns: number): string {
  const { label, doneBytes, totalBytes, elapsedMs } = progress
  const rate = elapsedMs > 0 ? `${formatBytes((doneBytes * 1000) / elapsedMs)}/s` : ''
  const done = formatBytes(doneBytes)
  const figures =
    totalBytes === undefined
      ? `${done}  ${rate}`
      : `${bar(doneBytes, totalBytes)}  ${done} of ${formatBytes(totalBytes)}  ${rate}`
  const room = Math.max(0, columns - 1)
  const space = room - figures.length - 2
  const line = space < 8 ? figures : `${shorten(label, space)}  ${figures}`
  return line.slice(0, room).trimEnd()
}

export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

function bar(doneBytes: number, totalBytes: number): string {
  const share = totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes)
  const filled = Math.round(share * BAR_WIDTH)
  const percent = String(Math.floor(share * 100)).padStart(3)
  return `${percent}% [${'='.repeat(filled)}${' '.repeat(BAR_WIDTH - filled)}]`
}

function shorten(label: string, space: number): string {
  return label.length <= space ? label : `...${label.slice(label.length - space + 3)}`
}

/** A line on stderr that is drawn over while something moves; nothing where nobody watches. */
export class ProgressBar implements Disposable {
  readonly #messages: Messages
  readonly #label: string
  readonly #nowMs: () => number
  readonly #startMs: number
  #drawnMs = Number.NEGATIVE_INFINITY
  #isDrawn = false

  constructor(messages: Messages, label: string, nowMs: () => number = () => performance.now()) {
    this.#messages = messages
    this.#label = label
    this.#nowMs = nowMs
    this.#startMs = nowMs()
  }

  update(doneBytes: number, totalBytes: number | undefined): void {
    const now = this.#nowMs()
    if (!this.#messages.isInteractive || now - this.#drawnMs < REDRAW_MS) return
    this.#drawnMs = now
    this.#isDrawn = true
    const elapsedMs = now - this.#startMs
    const progress = { label: this.#label, doneBytes, totalBytes, elapsedMs }
    this.#messages.write(`\r${renderProgress(progress, this.#messages.columns)}\u001b[K`)
  }

  /** Wipes the line, so that what follows stands alone. */
  [Symbol.dispose](): void {
    if (this.#isDrawn) this.#messages.write('\r\u001b[K')
    this.#isDrawn = false
  }
}
