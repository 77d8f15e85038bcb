import { isPathSegment, MAX_PATH_BYTES, MAX_PATH_SEGMENTS } from '../../protocol/file-path.ts'
import { nameFault } from '../../protocol/text.ts'
import { parseTopicFilter } from '../../protocol/topic-filter.ts'

/** Stands for the user's name in a pattern; a grant that holds it never matches anonymous. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is how the users file writes it
export const USER_VARIABLE = '${user}'

/** As long as a user's name gets. */
const LONGEST_NAME = 'x'.repeat(64)

/** What is wrong with a pattern of a grant, without quoting it, or undefined. */
export function grantPatternFault(kind: 'topics' | 'files', pattern: string): string | undefined {
  const plain = pattern.replaceAll(USER_VARIABLE, LONGEST_NAME)
  if (plain.includes('${')) return `holds a variable other than ${USER_VARIABLE}`
  // A mark would join the last letter of some names into another character: such a deny would miss them.
  if (/\$\{user\}\p{M}/u.test(pattern)) return `has a combining mark after ${USER_VARIABLE}`
  return kind === 'topics' ? topicsFault(plain) : filesFault(plain)
}

function topicsFault(pattern: string): string | undefined {
  const filter = parseTopicFilter(pattern)
  return filter.ok ? undefined : filter.error.replace(/^filter: /, '').replace(/ ".*"$/s, '')
}

function filesFault(pattern: string): string | undefined {
  const fault = nameFault(pattern, MAX_PATH_BYTES)
  if (fault !== undefined) return fault
  const segments = pattern.split('/')
  if (segments.length > MAX_PATH_SEGMENTS) return `more than ${MAX_PATH_SEGMENTS} segments`
  const isFine = segments.every(
    (segment, i) =>
      segment === '*' ||
      (segment === '**' && i === segments.length - 1) ||
      (isPathSegment(segment) && !segment.includes('*')),
  )
  return isFine ? undefined : 'bad segment'
}

/** The pattern as it holds for `user`; undefined when it cannot hold for anonymous (`null`). */
export function patternFor(user: string | null, pattern: string): string | undefined {
  if (!pattern.includes(USER_VARIABLE)) return pattern
  return user === null ? undefined : pattern.replaceAll(USER_VARIABLE, () => user)
}
