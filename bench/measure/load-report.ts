/** A run counts only when no load generator was busier than this, in cores. */
export const MOST_BUSY_CORES = 0.8

/** What a load generator says of itself. */
export interface LoadReport {
  /** On the clock of `clock.ts`. */
  readonly startedMs: number
  readonly endedMs: number
  /** Processor time that it used in between. */
  readonly busySeconds: number
}

/** Notes the processor time of this process from its making on. */
export class BusyMeter {
  readonly #start = process.cpuUsage()

  get seconds(): number {
    const { user, system } = process.cpuUsage(this.#start)
    return (user + system) / 1e6
  }
}

/** Cores that the busiest of the generators used during `seconds`. */
export function busiestCores(reports: readonly LoadReport[], seconds: number): number {
  return Math.max(0, ...reports.map(({ busySeconds }) => busySeconds / seconds))
}
