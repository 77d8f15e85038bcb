import type { ScanCounts } from './tree-scan.ts'
import type { WatchCoverage } from './watch-messages.ts'

/**
 * `degraded`: not every directory is watched, scans find the rest. `offline`: the directory of the volume
 * is not there, nothing is told.
 */
export type WatchState = 'starting' | 'watching' | 'degraded' | 'offline' | 'closed'

/** How one volume is watched, for readiness and metrics. */
export interface WatchStatus {
  readonly state: WatchState
  /** Why it is degraded, as an error code: `ENOSPC` asks for a higher fs.inotify.max_user_watches. */
  readonly reason?: string
  readonly coverage: WatchCoverage
  /** Paths that may differ and are not told yet. */
  readonly pending: number
  /** Files that are not told because of a hard link of somebody else. */
  readonly leftOut: number
  /** Scans that were needed because events were lost. */
  readonly rescans: number
  /** What the last walk of everything met. */
  readonly lastScan?: LastScan
}

export interface LastScan extends Readonly<ScanCounts> {
  readonly durationMs: number
}
