import { err, ok, type Result } from '../../protocol/result.ts'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

export type Parse<Value> = (text: string) => Result<Value>

/** What stands for no further web origin. */
export const SAME_ORIGIN = 'same-origin'

export function oneOf<const Word extends string>(words: readonly Word[]): Parse<Word> {
  return (text) => {
    const word = words.find((each) => each === text)
    return word === undefined ? err(`must be ${words.join(', ')}`) : ok(word)
  }
}

export function parseCount(
  least: number,
  most = Number.MAX_SAFE_INTEGER,
  rule = `a whole number, at least ${least}`,
): Parse<number> {
  return (text) => {
    const count = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
    return count >= least && count <= most ? ok(count) : err(`must be ${rule}`)
  }
}

export function within(
  parse: Parse<number>,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
  rule = 'more than 0',
): Parse<number> {
  return (text) => {
    const parsed = parse(text)
    if (!parsed.ok) return parsed
    return parsed.value >= least && parsed.value <= most ? parsed : err(`must be ${rule}`)
  }
}

/** `unlimited` is `Infinity`. */
export function orUnlimited(parse: Parse<number>): Parse<number> {
  return (text) => (text === 'unlimited' ? ok(Number.POSITIVE_INFINITY) : parse(text))
}

/** Web origins as browsers write them: scheme, host and a port other than the usual one, in lower case. */
export function parseOrigins(text: string): Result<readonly string[]> {
  if (text === SAME_ORIGIN) return ok([])
  const parts = text.split(',').map((part) => part.trim())
  const origins = parts.map((part) => ({ part, origin: originOf(part) }))
  const wrong = origins.find(({ origin }) => origin === undefined)
  if (wrong !== undefined) {
    const part = JSON.stringify(wrong.part)
    return err(`${part} is no web origin; write https://dashboard.example or ${SAME_ORIGIN}`)
  }
  return ok([...new Set(origins.flatMap(({ origin }) => origin ?? []))])
}

function originOf(text: string): string | undefined {
  const url = webUrl(text)
  const isBare = url?.pathname === '/' && url.search === '' && !text.endsWith('/')
  return isBare ? url.origin : undefined
}

/** @returns the URL without a slash at its end */
export function parsePublicUrl(text: string): Result<string> {
  const url = webUrl(text)
  return url === undefined || url.search !== ''
    ? err('is no web address; write https://broker.example')
    : ok(url.origin + url.pathname.replace(/\/+$/, ''))
}

/** Nothing that holds a password: the address is told to every client. */
function webUrl(text: string): URL | undefined {
  const url = /^https?:\/\/[^\s#]+$/.test(text) ? URL.parse(text) : null
  return url === null || url.username !== '' || url.password !== '' ? undefined : url
}
