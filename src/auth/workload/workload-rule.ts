/** Which workloads of an issuer are a user: `<oidc>` of the users file. */
export interface WorkloadRule {
  /** As in `iss`, to the letter. */
  readonly issuer: string
  readonly audience: string
  /** All of them have to hold; at least one, names differ. In values `*` stands for anything but `/`. */
  readonly claims: readonly ClaimRule[]
}

export interface ClaimRule {
  readonly name: string
  readonly value: string
}

/** The claims of a token, verified or not: what they are is the caller's to know. */
export type Claims = Readonly<Record<string, unknown>>

/** True when the claims are those of a workload that the rule means. */
export function isMeantBy(
  { issuer, audience, claims: wanted }: WorkloadRule,
  claims: Claims,
): boolean {
  return (
    claims['iss'] === issuer &&
    isFor(audience, claims['aud']) &&
    wanted.every(({ name, value }) => Object.hasOwn(claims, name) && matches(value, claims[name]))
  )
}

/** A token for others too could have come from one of them: ours is for us alone. */
function isFor(audience: string, aud: unknown): boolean {
  return aud === audience || (Array.isArray(aud) && aud.length === 1 && aud[0] === audience)
}

/** Numbers and truths are compared as they are written; lists and objects never match. */
function matches(pattern: string, value: unknown): boolean {
  const isPlain =
    typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value)
  return isPlain && isLike(pattern.split('*'), String(value))
}

/** Without a regular expression: a pattern with many `*` must not make one search for hours. */
function isLike([first = '', ...rest]: readonly string[], text: string): boolean {
  const last = rest.pop()
  if (last === undefined) return text === first
  if (!text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let at = first.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found === -1 || text.slice(at, found).includes('/')) return false
    at = found + part.length
  }
  return at <= end && !text.slice(at, end).includes('/')
}
