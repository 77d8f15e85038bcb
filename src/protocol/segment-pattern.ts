/**
 * The pattern algebra of topic filters and path globs: segments joined by `/`, where a whole segment may
 * be `*` (exactly one segment) and the last one may be `**` (zero or more segments).
 *
 * All functions take patterns that were checked by their parser and are linear in the number of segments.
 */

/** True when `name`, which holds no wildcard, is one of those that `pattern` stands for. */
export function patternMatches(pattern: string, name: string): boolean {
  return patternCovers(pattern, name)
}

/** True when every name that `inner` stands for is one that `outer` stands for. */
export function patternCovers(outer: string, inner: string): boolean {
  // A name has at least one segment.
  if (outer === '**' || outer === '*/**' || outer === inner) return true
  const outerSegments = outer.split('/')
  const innerSegments = inner.split('/')
  for (const [i, segment] of outerSegments.entries()) {
    if (segment === '**') return true
    const against = innerSegments[i]
    if (against === undefined || against === '**') return false
    if (segment !== '*' && segment !== against) return false
  }
  return outerSegments.length === innerSegments.length
}

/** True when some name exists that both patterns stand for. */
export function patternsOverlap(a: string, b: string): boolean {
  const aSegments = a.split('/')
  const bSegments = b.split('/')
  const length = Math.max(aSegments.length, bSegments.length)
  for (let i = 0; i < length; i += 1) {
    const [left, right] = [aSegments[i], bSegments[i]]
    if (left === '**' || right === '**') return true
    if (left === undefined || right === undefined) return false
    if (left !== '*' && right !== '*' && left !== right) return false
  }
  return true
}
