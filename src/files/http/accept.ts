/**
 * The media type of `offered` that an `Accept` field prefers; the first one when it does not care.
 *
 * @param accept - undefined when there is no such field
 * @returns undefined when none is acceptable
 * @see RFC 9110 section 12.5.1
 */
export function preferredType<Offer extends string>(
  accept: string | undefined,
  offered: readonly Offer[],
): Offer | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0]
  const ranges = accept.split(',').map(parseRangeOfTypes)
  let best: Offer | undefined
  let bestQuality = 0
  for (const offer of offered) {
    const quality = qualityOf(offer, ranges)
    if (quality > bestQuality) [best, bestQuality] = [offer, quality]
  }
  return best
}

interface TypeRange {
  readonly type: string
  readonly quality: number
}

function parseRangeOfTypes(text: string): TypeRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const stated = parameters.find((parameter) => parameter.startsWith('q='))
  const quality = stated === undefined ? 1 : Number(stated.slice(2))
  return { type, quality: quality >= 0 && quality <= 1 ? quality : 0 }
}

/** The most specific range decides. */
function qualityOf(offer: string, ranges: readonly TypeRange[]): number {
  const [group = ''] = offer.split('/', 1)
  for (const type of [offer, `${group}/*`, '*/*']) {
    const range = ranges.find((candidate) => candidate.type === type)
    if (range !== undefined) return range.quality
  }
  return 0
}
