import { isoTime } from '../content-change.ts'
import type { FileVersion } from '../history/version-records.ts'
import { entityTagOf } from '../store/entity-tag.ts'

/** A former content as it is sent. */
export interface VersionEntry {
  /** For `?version=` and `?restore=`. */
  readonly version: string
  readonly etag: string
  readonly size: number
  /** Who uploaded it; null for what was put on disk, or uploaded by nobody with a name. */
  readonly by: string | null
  /** When the content was written, ISO 8601. */
  readonly modified: string
  /** When it ceased to be the present content, ISO 8601. */
  readonly replaced: string
  /** True when the file was deleted, false when another content came. */
  readonly deleted: boolean
}

export interface VersionList {
  readonly path: string
  /** Newest first. */
  readonly versions: readonly VersionEntry[]
}

/** A path without a present content, and the newest of its former ones. */
export interface DeletedEntry extends VersionEntry {
  /** Below the directory, with slashes. */
  readonly name: string
}

export interface DeletedListing {
  /** The directory, without slashes around it; `''` for the root. */
  readonly path: string
  readonly entries: readonly DeletedEntry[]
  /** The `cursor` of the next page; null on the last one. */
  readonly next: string | null
}

export function versionEntry(version: FileVersion): VersionEntry {
  const { id, sha256, fingerprint, uploader, replacedMs, deleted } = version
  return {
    version: id,
    etag: entityTagOf(sha256),
    size: fingerprint.size,
    by: uploader || null,
    modified: isoTime(fingerprint.mtimeNs),
    replaced: new Date(replacedMs).toISOString(),
    deleted,
  }
}
