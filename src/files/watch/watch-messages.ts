import type { FilePath } from '../../protocol/file-path.ts'
import type { Fingerprint } from '../fingerprint.ts'
import type { TreeBatch } from './tree-batch.ts'
import type { TreeNameRules } from './tree-names.ts'
import type { ScanCounts } from './tree-scan.ts'

/** Where to look. Nothing follows from a hint but that somebody looks there. */
export type WatchHint =
  /** A file may have come, changed or gone; `seen` is what was there, null for no regular file. */
  | { readonly kind: 'path'; readonly path: FilePath; readonly seen: Fingerprint | null }
  /** All below a directory: it came, or it is gone. */
  | { readonly kind: 'directory'; readonly path: string }
  /** Anything may have happened: events were lost. */
  | { readonly kind: 'rescan'; readonly reason: string }

/** How well a tree is watched. */
export interface WatchCoverage {
  readonly watched: number
  /** Directories that could not be watched; their changes are found by scans. */
  readonly unwatched: number
  /** Of those: `ENOSPC` (fs.inotify.max_user_watches), `EMFILE` (fs.inotify.max_user_instances), ... */
  readonly reason?: string
}

/** What the thread is started with. */
export interface WatchSettings extends TreeNameRules {
  /** Absolute path of the tree. */
  readonly root: string
  /** A directory for cookies, made when missing; outside of the tree. */
  readonly cookies: string
  /** As many directories are watched, to leave the rest to other programs; no limit when left out. */
  readonly maxWatches?: number
}

export type WatchCommand =
  /** Watch every directory; `fresh` forgets those that are watched, for a volume that was unmounted. */
  | { readonly kind: 'cover'; readonly id: number; readonly fresh: boolean }
  /** Answer when every event before this moment has been hinted at. */
  | { readonly kind: 'cookie'; readonly id: number }
  /** Walk a directory and give the first batch; `more` gives the next. */
  | { readonly kind: 'scan'; readonly id: number; readonly path: string }
  | { readonly kind: 'more'; readonly id: number }
  | { readonly kind: 'stop'; readonly id: number }
  | { readonly kind: 'close' }

export type WatchReply =
  | { readonly kind: 'hints'; readonly hints: readonly WatchHint[] }
  | { readonly kind: 'coverage'; readonly coverage: WatchCoverage }
  | { readonly kind: 'done'; readonly id: number }
  | { readonly kind: 'batch'; readonly id: number; readonly batch: TreeBatch }
  | { readonly kind: 'end'; readonly id: number; readonly counts: ScanCounts }
  | { readonly kind: 'failed'; readonly id: number; readonly error: Error }
  | { readonly kind: 'trouble'; readonly error: Error }
