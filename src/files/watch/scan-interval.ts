export interface ScanIntervals {
  /** Between scans while all is watched; 60 s when left out. */
  readonly scanIntervalMs?: number
  /** While it is not; 5 s when left out. */
  readonly degradedScanIntervalMs?: number
}

/** A scan takes at most this share of the time. */
const SCAN_SHARE = 1 / 100
const DEGRADED_SCAN_SHARE = 1 / 10

/** How long to wait for the next scan of everything, in milliseconds: more where a scan takes long. */
export function scanIntervalMs(
  isWatched: boolean,
  lastDurationMs: number,
  { scanIntervalMs = 60_000, degradedScanIntervalMs = 5000 }: ScanIntervals,
): number {
  return isWatched
    ? Math.max(scanIntervalMs, lastDurationMs / SCAN_SHARE)
    : Math.max(degradedScanIntervalMs, lastDurationMs / DEGRADED_SCAN_SHARE)
}
