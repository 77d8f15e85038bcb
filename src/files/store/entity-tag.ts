import { err, ok, type Result } from '../../protocol/result.ts'

/** What `If-Match` or `If-None-Match` asks for: `*` or a list of tags. */
export type TagCondition = '*' | readonly ConditionTag[]

export interface ConditionTag {
  readonly weak: boolean
  /** With its quotes, without `W/`. */
  readonly tag: string
}

/** Lists longer than this are refused: each tag is compared under the lock of a path. */
const MAX_TAGS = 256

/** The strong entity tag of a content, `"sha256-<base64url>"`, quotes included. */
export function entityTagOf(sha256: string): string {
  return `"sha256-${Buffer.from(sha256, 'hex').toString('base64url')}"`
}

/**
 * Reads the value of `If-Match` or `If-None-Match`.
 *
 * @see RFC 9110 section 8.8.3 for the grammar
 */
export function parseTagCondition(text: string): Result<TagCondition> {
  const trimmed = text.trim()
  if (trimmed === '*') return ok('*')
  const tags: ConditionTag[] = []
  const member = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\uffff]*"))?[ \t]*(?:,|$)/y
  while (member.lastIndex < trimmed.length) {
    const match = member.exec(trimmed)
    if (match === null) return err('an entity tag looks like "sha256-...", with its quotes')
    const [, weak, tag] = match
    if (tag !== undefined) tags.push({ weak: weak !== undefined, tag })
    if (tags.length > MAX_TAGS) return err(`more than ${MAX_TAGS} entity tags`)
  }
  return tags.length === 0 ? err('no entity tag is given') : ok(tags)
}

/** Strong comparison: a weak tag never matches. @see RFC 9110 section 8.8.3.2 */
export function matchesStrongly(condition: TagCondition, etag: string): boolean {
  return condition === '*' || condition.some(({ weak, tag }) => !weak && tag === etag)
}

/** Weak comparison, as a cache uses it: a proxy that compressed may have made our tag weak. */
export function matchesWeakly(condition: TagCondition, etag: string): boolean {
  return condition === '*' || condition.some(({ tag }) => tag === etag)
}
