/** What a request says of the web page that made it, and what it carries. */
export interface OriginFacts {
  readonly method: string
  readonly origin?: string | undefined
  readonly host?: string | undefined
  readonly fetchSite?: string | undefined
  readonly fetchMode?: string | undefined
  readonly fetchDest?: string | undefined
  /** True for an explicit token or a ticket: no browser adds one to what a foreign page asks for. */
  readonly isExplicit: boolean
}

export interface OriginRules {
  /** The broker's own origin; without it, that of the `Host` field. */
  readonly publicUrl?: string
  /** Other origins that may speak to the broker, e.g. `https://dash.example`. */
  readonly allowed: readonly string[]
}

/**
 * Guards against pages that make a visitor's browser speak for the visitor, over WebSockets too, where
 * CORS does not apply: a foreign page gets no answer unless it brings a credential that it was given.
 *
 * @returns true when the request is refused with `ORIGIN_FORBIDDEN`
 */
export function isForbiddenOrigin(facts: OriginFacts, rules: OriginRules): boolean {
  if (facts.isExplicit) return false
  if (facts.origin !== undefined) return !isOwn(facts.origin, facts.host, rules)
  return facts.fetchSite?.toLowerCase() === 'cross-site' && !isFollowedLink(facts)
}

/** A link to the broker in some other page: the answer fills a tab, where that page cannot read it. */
function isFollowedLink({ method, fetchMode, fetchDest }: OriginFacts): boolean {
  return method === 'GET' && fetchMode === 'navigate' && fetchDest === 'document'
}

function isOwn(origin: string, host: string | undefined, rules: OriginRules): boolean {
  const plain = normalOrigin(origin)
  if (plain === undefined) return false
  if (rules.allowed.some((allowed) => normalOrigin(allowed) === plain)) return true
  if (rules.publicUrl !== undefined) return normalOrigin(rules.publicUrl) === plain
  // The scheme is left out of it: behind a TLS end point the broker itself sees plain HTTP.
  return host !== undefined && [`http://${host}`, `https://${host}`].some(sameAs(plain))
}

function sameAs(plain: string): (url: string) => boolean {
  return (url) => normalOrigin(url) === plain
}

/** Scheme, host and port as browsers write them; undefined for `null` and what is no web origin. */
function normalOrigin(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url.origin : undefined
}
