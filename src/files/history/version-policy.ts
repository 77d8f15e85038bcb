import type { FilePath } from '../../protocol/file-path.ts'
import type { FilePolicy } from '../file-policy.ts'
import type { FileVersion } from './version-records.ts'

/** True when a content that is replaced, or deleted, leaves a version behind. */
export function keepsFormer(policy: FilePolicy, path: FilePath, deleted: boolean): boolean {
  const { keep = Number.POSITIVE_INFINITY, ageMs = Number.POSITIVE_INFINITY } = policy.of(
    'versions',
    path,
  ) ?? { keep: 0 }
  const isVersion = keep > 0 && ageMs > 0
  return isVersion || (deleted && (policy.of('undeleteMs', path) ?? 0) > 0)
}

/**
 * The versions whose time is over: neither does the rule of versions keep them, nor can their delete
 * still be undone. Without any such rule at all nothing is over, so that a broker which is started without
 * its policy by mistake destroys nothing.
 *
 * @param versions - all of one path, newest first
 */
export function expiredVersions(
  policy: FilePolicy,
  versions: readonly FileVersion[],
  nowMs: number,
): readonly FileVersion[] {
  const path = versions[0]?.path
  if (path === undefined || (policy.lacks('versions') && policy.lacks('undeleteMs'))) return []
  const { keep = Number.POSITIVE_INFINITY, ageMs = Number.POSITIVE_INFINITY } = policy.of(
    'versions',
    path,
  ) ?? { keep: 0 }
  const undeleteMs = policy.of('undeleteMs', path) ?? 0
  return versions.filter(({ replacedMs, deleted }, rank) => {
    const age = nowMs - replacedMs
    const isVersion = rank < keep && age < ageMs
    return !isVersion && !(deleted && age < undeleteMs)
  })
}
