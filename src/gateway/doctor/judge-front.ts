import { resolve } from 'node:path'
import { findDirectives, type PlacedDirective } from '../front/front-dump.ts'
import type { NginxConfiguration } from '../front/running-nginx.ts'
import { FORWARDED_HEADERS } from '../proxy-trust.ts'
import type { Settings } from '../settings/settings.ts'
import { problem, type Verdict, warning } from './finding.ts'
import {
  argumentOf,
  type BrokerLocation,
  brokerLocations,
  inForce,
  locationOf,
  nginxSeconds,
  nginxSize,
} from './front-facts.ts'

/** Less, and a stream on which nothing happens is ended and opened again and again. */
const QUIET_SECONDS = 600

/** What is wrong with a configuration that passes requests on to a broker with these settings. Pure. */
export function judgeFront(
  configuration: NginxConfiguration,
  settings: Settings,
  secret: string | undefined,
): readonly Verdict[] {
  const locations = brokerLocations(configuration.directives, settings.listen)
  const servers = findDirectives(configuration.directives, 'server').filter(({ directive }) =>
    locations.some(({ blocks }) => blocks.includes(directive)),
  )
  return [
    ...(settings.proxy === 'off' ? [UNTRUSTED] : judgeIdentity(locations, secret)),
    ...servers.flatMap((server) => [
      ...judgeBodies(server, settings),
      ...judgeStreams(server),
      ...judgeInside(server, settings),
      ...judgeTransport(server),
    ]),
    ...judgeServed(configuration, settings),
  ]
}

const UNTRUSTED = warning(
  'it passes requests on, and the broker does not believe it: to the broker all clients are one',
  '--proxy nginx with --proxy-secret-file, and broker nginx again',
)

function judgeIdentity(
  locations: readonly BrokerLocation[],
  secret: string | undefined,
): readonly Verdict[] {
  return locations.flatMap(({ location, blocks }) => {
    const place = `location ${location.args.join(' ')}`
    const set = new Map(
      inForce(blocks, 'proxy_set_header').map(({ args: [name = '', value = ''] }) => [
        name.toLowerCase(),
        value,
      ]),
    )
    // A variable of the request is what the client sent.
    const forged = FORWARDED_HEADERS.filter((name) =>
      /\$http_|\$proxy_add_x_forwarded_for/.test(set.get(name) ?? '$http_'),
    )
    const include = `include broker-identity.conf in ${place}`
    return [
      ...(forged.length > 0
        ? [problem(`${place} lets clients say ${forged.join(', ')}`, include)]
        : []),
      ...(secret !== undefined && set.get('x-broker-proxy') !== secret
        ? [problem(`${place} does not show the secret of --proxy-secret-file`, include)]
        : []),
    ]
  })
}

function judgeBodies(server: PlacedDirective, settings: Settings): readonly Verdict[] {
  const { maxFileBytes, maxEventBytes } = settings
  const limits = { '/files/x': maxFileBytes, '/uploads': maxFileBytes, '/events/x': maxEventBytes }
  return Object.entries(limits).flatMap(([path, most]) => {
    const blocks = locationOf(server, path)
    if (blocks === undefined) return []
    const text = argumentOf(blocks, 'client_max_body_size') ?? '1m'
    const isWide = nginxSize(text) === 0 || nginxSize(text) >= most
    const isBuffered =
      path !== '/events/x' && argumentOf(blocks, 'proxy_request_buffering') !== 'off'
    return [
      ...(isWide
        ? []
        : [
            problem(
              `${path} takes ${text} and the broker more`,
              `client_max_body_size ${Number.isFinite(most) ? most : 0} there`,
            ),
          ]),
      ...(isBuffered
        ? [warning(`uploads to ${path} are kept twice`, 'proxy_request_buffering off there')]
        : []),
    ]
  })
}

function judgeStreams(server: PlacedDirective): readonly Verdict[] {
  const [events, socket] = ['/events/x', '/ws'].map((path) => locationOf(server, path) ?? [])
  const isShort = [events, socket].some(
    (blocks = []) =>
      !(nginxSeconds(argumentOf(blocks, 'proxy_read_timeout') ?? '60s') >= QUIET_SECONDS),
  )
  const upgrades = inForce(socket ?? [], 'proxy_set_header').some(
    ({ args: [name = ''] }) => name.toLowerCase() === 'upgrade',
  )
  return [
    ...(argumentOf(events ?? [], 'proxy_buffering') === 'off'
      ? []
      : [problem('events wait in a buffer of Nginx', 'proxy_buffering off in location /events')]),
    ...(isShort
      ? [warning('quiet streams are ended', 'proxy_read_timeout 24h in /events and /ws')]
      : []),
    ...(upgrades
      ? []
      : [problem('WebSockets cannot be opened', 'proxy_set_header Upgrade in location = /ws')]),
  ]
}

/** What only Nginx asks, and what it sends by itself. */
function judgeInside(server: PlacedDirective, { data, proxy }: Settings): readonly Verdict[] {
  const isShut = (path: string) =>
    locationOf(server, path)
      ?.at(-1)
      ?.block.some(({ name }) => name === 'return' || name === 'internal') === true
  const sent = locationOf(server, '/-/serve/x')?.at(-1)
  const sends = sent?.block.some(({ name }) => name === 'alias') === true
  return [
    ...(proxy === 'off' || isShut('/auth/upload')
      ? []
      : [problem('clients may ask /auth/upload', 'location /auth/upload { return 404; }')]),
    ...(proxy === 'off' || sends
      ? []
      : [
          problem(
            'downloads are not found',
            `location /-/serve/ { internal; alias ${data}/state/volumes/; }`,
          ),
        ]),
  ]
}

/** Directories that hold data of the broker, or lie in it, must not be served past it. */
function judgeServed(
  { directives, prefix }: NginxConfiguration,
  { data }: Settings,
): readonly Verdict[] {
  const served = ['alias', 'root'].flatMap((name) => findDirectives(directives, name))
  return served.flatMap(({ directive, within }) => {
    const path = `${resolve(prefix, directive.args[0] ?? '')}/`
    const location = within.at(-1)
    const isData = path.startsWith(`${data}/`) || `${data}/`.startsWith(path)
    const isInternal = location?.block.some(({ name }) => name === 'internal') === true
    if (!isData || isInternal || location?.name !== 'location') return []
    const place = `location ${location.args.join(' ')}`
    return [problem(`${place} gives everybody what lies in ${path}`, `internal in ${place}`)]
  })
}

function judgeTransport({ directive }: PlacedDirective): readonly Verdict[] {
  const listens = directive.block.filter(({ name }) => name === 'listen')
  const isTls = ({ args }: { readonly args: readonly string[] }) => args.includes('ssl')
  const plain = listens.filter(
    (listen) => !isTls(listen) && !/^(?:127\.|\[::1\]|localhost|unix:)/.test(listen.args[0] ?? ''),
  )
  if (plain.length === 0) return []
  const ports = plain.map(({ args }) => args[0]).join(', ')
  const fix = listens.some(isTls)
    ? 'broker nginx without --http, or a server that redirects to HTTPS'
    : 'broker nginx --https'
  return [warning(`tokens go in clear text to ${ports}`, fix)]
}
