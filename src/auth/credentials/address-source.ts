import { isIPv6 } from 'node:net'

/**
 * What failures of a peer are counted by: an IPv4 address, or the /64 of an IPv6 one, since whoever has one
 * address of it has all 2^64. Peers of a unix socket have no address and are one source; what is no address,
 * such as a user's name over ZeroMQ, stays as it is.
 */
export function addressSource(address: string | undefined): string {
  if (address === undefined || address === '') return 'local'
  if (!address.includes(':')) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped?.[1] !== undefined) return mapped[1]
  const [plain = ''] = address.split('%')
  return isIPv6(plain) ? prefixOf(plain) : address
}

function prefixOf(address: string): string {
  const [head = '', tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array<string>(Math.max(0, zeros)).fill('0'), ...after]
  const first = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${first.join(':')}::/64`
}
