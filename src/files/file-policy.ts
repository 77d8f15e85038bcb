import { matchesGlob } from 'node:path/posix'
import type { FilePath } from '../protocol/file-path.ts'

/** What the operator wants of some files. A rule that does not state something leaves it to the next. */
export interface FileRule {
  /** Of the files it is about, as shells write them: `releases/**`, `reports/*.json`. */
  readonly globs: readonly string[]
  /** A write or delete without a condition is refused. */
  readonly conditional?: boolean
  /** What a replaced content leaves behind. */
  readonly versions?: VersionRule
  /** For how long a delete can be undone, in milliseconds. */
  readonly undeleteMs?: number
  /** After this long without a change a file is deleted, in milliseconds. */
  readonly retainMs?: number
  /** What a content must be before it is accepted. */
  readonly content?: ContentRule
}

/** Former contents are kept while both hold. */
export interface VersionRule {
  /** The newest so many. */
  readonly keep?: number
  /** Those replaced within so many milliseconds. */
  readonly ageMs?: number
}

export interface ContentRule {
  readonly maxBytes?: number
  /** As the extension of the name says: `image/png`, `text/*`. */
  readonly mediaTypes?: readonly string[]
  /** Path of a JSON Schema, absolute. */
  readonly schema?: string
  /** A program and its arguments; it is given the content on its standard input. Exit code 0 accepts. */
  readonly command?: readonly string[]
  /** Longest that the command may take, and the schema, each. */
  readonly commandMs: number
}

/** Limits of the whole volume. */
export interface VolumeLimits {
  /** Bytes that uploads leave free on the device. */
  readonly freeBytes: number
  /** Bytes of all files together; `Infinity` for no limit. */
  readonly quotaBytes: number
  /** Bytes of the files whose present content one user uploaded; `Infinity` for no limit. */
  readonly userQuotaBytes: number
  /** Bodies that are received at the same time. */
  readonly uploadsAtOnce: number
  /** Bytes a second below which, averaged, an upload is cut off; 0 for no limit. */
  readonly slowestUpload: number
}

/** How files are looked after, path by path. Immutable. */
export class FilePolicy {
  readonly limits: VolumeLimits
  readonly #rules: readonly FileRule[]

  constructor(limits: VolumeLimits, rules: readonly FileRule[]) {
    this.limits = limits
    this.#rules = rules
  }

  /** What the first rule says of `path` that says something of `aspect`. */
  of<Aspect extends Exclude<keyof FileRule, 'globs'>>(
    aspect: Aspect,
    path: FilePath,
  ): FileRule[Aspect] | undefined {
    const states = (rule: FileRule) =>
      rule[aspect] !== undefined && rule.globs.some((glob) => matchesGlob(path, glob))
    return this.#rules.find(states)?.[aspect]
  }

  /** Of all rules. */
  schemas(): ReadonlySet<string> {
    return new Set(this.#rules.flatMap(({ content }) => content?.schema ?? []))
  }

  /** True when no rule states `aspect`: what looks after it has nothing to do. */
  lacks(aspect: Exclude<keyof FileRule, 'globs'>): boolean {
    return this.#rules.every((rule) => rule[aspect] === undefined)
  }
}

export const DEFAULT_LIMITS: VolumeLimits = {
  // The database needs some to tell that the device is full.
  freeBytes: 64 * 1024 * 1024,
  quotaBytes: Number.POSITIVE_INFINITY,
  userQuotaBytes: Number.POSITIVE_INFINITY,
  uploadsAtOnce: 256,
  slowestUpload: 0,
}
