import { type Directive, findDirectives, type PlacedDirective } from '../front/front-dump.ts'
import type { ListenAddress } from '../settings/settings-addresses.ts'

/** A location that passes requests on to the broker, with the blocks that it lies in. */
export interface BrokerLocation {
  readonly location: Directive
  /** From outside to inside, the location last. */
  readonly blocks: readonly Directive[]
}

export function brokerLocations(
  directives: readonly Directive[],
  listen: ListenAddress,
): readonly BrokerLocation[] {
  const addresses = addressesOf(listen)
  const upstreams = findDirectives(directives, 'upstream').filter(({ directive }) =>
    directive.block.some(({ name, args }) => name === 'server' && addresses.has(args[0] ?? '')),
  )
  const names = new Set([...addresses, ...upstreams.map(({ directive }) => directive.args[0])])
  return findDirectives(directives, 'proxy_pass').flatMap(({ directive, within }) => {
    const [, target] =
      /^https?:\/\/(unix:[^:]+|[^/]+)/.exec(directive.args[0] ?? '') ?? directive.args
    const location = within.findLast(({ name }) => name === 'location')
    return names.has(target) && location !== undefined ? [{ location, blocks: within }] : []
  })
}

/** How a configuration may name where the broker listens. */
function addressesOf(listen: ListenAddress): ReadonlySet<string> {
  if (listen.kind === 'unix') return new Set([`unix:${listen.path}`])
  const { host, port } = listen
  const isOwn = /^(?:127\.|0\.0\.0\.0$|::1?$|localhost$)/.test(host)
  const hosts = [host, ...(isOwn ? ['127.0.0.1', 'localhost', '::1'] : [])]
  return new Set(
    hosts.map((name) => (name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`)),
  )
}

/** The directives of that name in force in the innermost block: those of the nearest block with any. */
export function inForce(blocks: readonly Directive[], name: string): readonly Directive[] {
  const nearest = blocks.findLast(({ block }) => block.some((each) => each.name === name))
  return nearest?.block.filter((each) => each.name === name) ?? []
}

/** The first argument of the directive in force. */
export function argumentOf(blocks: readonly Directive[], name: string): string | undefined {
  return inForce(blocks, name)[0]?.args[0]
}

/** Where Nginx takes a request for `path`, of exact locations and prefixes. */
export function locationOf(
  server: PlacedDirective,
  path: string,
): readonly Directive[] | undefined {
  const locations = server.directive.block.filter(({ name }) => name === 'location')
  const length = ({ args }: Directive): number => {
    const [place = '', exact] = args.toReversed()
    if (exact === '=') return place === path ? Number.POSITIVE_INFINITY : -1
    return (exact === undefined || exact === '^~') && path.startsWith(place) ? place.length : -1
  }
  const [best] = locations.filter((one) => length(one) >= 0).sort((a, b) => length(b) - length(a))
  return best && [...server.within, server.directive, best]
}

const SIZE_UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }
const TIME_UNITS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 }

/** @returns bytes; 0 is no limit */
export function nginxSize(text: string): number {
  const [, digits, unit = ''] = /^(\d+)([kmg]?)$/i.exec(text) ?? []
  return Number(digits) * (SIZE_UNITS[unit.toLowerCase()] ?? Number.NaN)
}

export function nginxSeconds(text: string): number {
  const [, digits, unit = ''] = /^(\d+)([smhd]?)$/.exec(text) ?? []
  return Number(digits) * (TIME_UNITS[unit] ?? Number.NaN)
}
