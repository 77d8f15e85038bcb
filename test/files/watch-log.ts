import type { WatchLog } from '../../src/files/watch/watch-log.ts'

/** Keeps what is logged, by level. */
export class RecordedLog implements WatchLog {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[] =
    []

  debug(fields: object, message: string): void {
    this.lines.push({ level: 'debug', fields, message })
  }

  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields, message })
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields, message })
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', fields, message })
  }

  of(level: string): readonly string[] {
    return this.lines.filter((line) => line.level === level).map(({ message }) => message)
  }
}
