/** What the watcher reports to: the part of pino's interface that it uses. */
export interface WatchLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
