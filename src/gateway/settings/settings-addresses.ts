import { err, ok, type Result } from '../../protocol/result.ts'
import { ALL_TOPICS, parseTopicFilter, type TopicFilter } from '../../protocol/topic-filter.ts'

/** Where HTTP is served. `host` has no brackets, also when it is an IPv6 address. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** Where a ZeroMQ socket is bound. `address` is what it is bound to, e.g. `tcp://127.0.0.1:5556`. */
export interface ZmqEndpoint<Security extends string> {
  readonly address: string
  readonly host: string
  readonly port: number
  readonly security: Security
}

export interface SubscribeEndpoint extends ZmqEndpoint<'plain' | 'curve'> {
  /** All that is told there: who connects must be allowed to subscribe to the whole of it. */
  readonly filter: TopicFilter
}

export type SessionEndpoint = ZmqEndpoint<'null' | 'curve'>

const HOST_AND_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+|\*)):([0-9]{1,5})$/

export function parseListenAddress(
  text: string,
  toPath: (path: string) => string,
): Result<ListenAddress> {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    return path === '' ? err('needs a path after unix:') : ok({ kind: 'unix', path: toPath(path) })
  }
  const address = parseHostAndPort(text)
  if (address === undefined || address.host === '*') {
    return err('is no address; write 127.0.0.1:8080, [::1]:8080, 0.0.0.0:8080 or unix:/path')
  }
  return ok({ kind: 'tcp', ...address })
}

export function formatListenAddress(listen: ListenAddress): string {
  if (listen.kind === 'unix') return `unix:${listen.path}`
  return listen.host.includes(':')
    ? `[${listen.host}]:${listen.port}`
    : `${listen.host}:${listen.port}`
}

export function parseSubscribeEndpoints(text: string): Result<readonly SubscribeEndpoint[]> {
  return parseEndpoints(text, ['security', 'filter'], (endpoint, query) => {
    const security = query.get('security') ?? 'plain'
    if (security !== 'plain' && security !== 'curve') return err('security is plain or curve')
    const given = query.get('filter')
    const filter = given === undefined ? ok(ALL_TOPICS) : parseTopicFilter(given)
    return filter.ok ? ok({ ...endpoint, security, filter: filter.value }) : filter
  })
}

export function parseSessionEndpoints(text: string): Result<readonly SessionEndpoint[]> {
  return parseEndpoints(text, ['security'], (endpoint, query) => {
    const security = query.get('security') ?? 'null'
    if (security !== 'null' && security !== 'curve') return err('security is null or curve')
    return ok({ ...endpoint, security })
  })
}

/** The text that the two parsers above read as `endpoints`. */
export function formatEndpoints(
  endpoints: readonly (SubscribeEndpoint | SessionEndpoint)[],
): string {
  return endpoints.length === 0 ? 'off' : endpoints.map(formatEndpoint).join(',')
}

function formatEndpoint(endpoint: SubscribeEndpoint | SessionEndpoint): string {
  const query = [
    ...(endpoint.security === 'curve' ? ['security=curve'] : []),
    ...('filter' in endpoint && endpoint.filter !== ALL_TOPICS
      ? [`filter=${endpoint.filter.split('/').map(encodeURIComponent).join('/')}`]
      : []),
  ]
  return query.length === 0 ? endpoint.address : `${endpoint.address}?${query.join('&')}`
}

type Place = Omit<ZmqEndpoint<string>, 'security'>

function parseEndpoints<Endpoint extends Place>(
  text: string,
  names: readonly string[],
  complete: (place: Place, query: ReadonlyMap<string, string>) => Result<Endpoint>,
): Result<readonly Endpoint[]> {
  if (text === 'off') return ok([])
  const endpoints: Endpoint[] = []
  for (const part of text.split(',').map((each) => each.trim())) {
    const endpoint = parseEndpoint(part, names, complete)
    if (!endpoint.ok) return err(`${JSON.stringify(part)}: ${endpoint.error}`)
    endpoints.push(endpoint.value)
  }
  const twice = endpoints.find(
    ({ address, port }, i) =>
      port !== 0 && endpoints.findIndex((other) => other.address === address) < i,
  )
  return twice === undefined ? ok(endpoints) : err(`names ${twice.address} twice`)
}

function parseEndpoint<Endpoint>(
  text: string,
  names: readonly string[],
  complete: (place: Place, query: ReadonlyMap<string, string>) => Result<Endpoint>,
): Result<Endpoint> {
  const [, place = '', search] = /^tcp:\/\/([^?]*)(?:\?(.*))?$/.exec(text) ?? []
  const address = parseHostAndPort(place)
  if (address === undefined) return err('is no endpoint; write tcp://127.0.0.1:5556')
  const query = parseQuery(search ?? '', names)
  return query.ok ? complete({ address: `tcp://${place}`, ...address }, query.value) : query
}

function parseHostAndPort(text: string): { host: string; port: number } | undefined {
  const [, ipv6, name, digits] = HOST_AND_PORT.exec(text) ?? []
  const host = ipv6 ?? name
  const port = Number(digits)
  return host === undefined || port > 65_535 ? undefined : { host, port }
}

/** Decodes by itself: `URLSearchParams` would turn the `+` of a topic into a space. */
function parseQuery(search: string, names: readonly string[]): Result<ReadonlyMap<string, string>> {
  const query = new Map<string, string>()
  for (const pair of search.split('&').filter((each) => each !== '')) {
    const [name = '', ...rest] = pair.split('=')
    if (!names.includes(name)) return err(`may be followed by ${names.join(' and ')} only`)
    if (query.has(name)) return err(`${name} is given twice`)
    try {
      query.set(name, decodeURIComponent(rest.join('=')))
    } catch {
      return err(`${name} holds a malformed percent escape`)
    }
  }
  return ok(query)
}
