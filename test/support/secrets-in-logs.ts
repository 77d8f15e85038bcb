import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TOKENS } from './gateway.ts'

type NamedText = readonly [name: string, text: string]

/** What looks like a secret, whoever made it. */
const LOOKS: Readonly<Record<string, RegExp>> = {
  // The tokens that tests make up have hyphens.
  'a token': /dbk_[0-9A-Za-z-]{30,}/,
  'a signed JWT': /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}/,
  'a private key': /PRIVATE KEY-----/,
}

/** What the credentials of Basic are written in. */
const BASE64 = /[A-Za-z0-9+/_-]{24,}/g

/** What of `text` is a secret, in words. */
export function secretsIn(text: string, known: readonly string[] = []): string[] {
  const looks = Object.entries(LOOKS).filter(([, look]) => look.test(text))
  const encoded = text.match(BASE64)?.filter((run) => decoded(run).includes('dbk_')) ?? []
  return [
    ...looks.map(([what]) => what),
    ...encoded.map(() => 'a token in base64'),
    ...known.filter((secret) => text.includes(secret)).map(() => 'a secret of the broker'),
  ]
}

/**
 * Looks for secrets in what a broker wrote: in `output`, and below `directory` in its audit log and the logs
 * of an Nginx in front.
 *
 * @param more - secrets that it was given
 * @throws {Error} when one is there
 */
export async function requireNoSecretInLogs(
  output: string,
  { directory, data = 'data', more = [] }: LogPlaces,
): Promise<void> {
  const known = [
    ...Object.values<string>(TOKENS),
    ...more,
    ...(await keptIn(join(directory, data))),
  ]
  const texts: NamedText[] = [['the log', output]]
  for await (const name of glob(`{nginx/**/*.log,${data}/state/audit/*}`, { cwd: directory })) {
    texts.push([name, await readFile(join(directory, name), 'utf8')])
  }
  for (const [name, text] of texts) {
    const [what] = secretsIn(text, known)
    if (what !== undefined) throw new Error(`${what} is in ${name}`)
  }
}

export interface LogPlaces {
  readonly directory: string
  /** The data directory, from there. */
  readonly data?: string
  readonly more?: readonly string[]
}

/** The secrets that a broker keeps in its data directory. */
async function keptIn(data: string): Promise<string[]> {
  const admin = await readFile(join(data, 'admin.token'), 'utf8').catch(() => '')
  const curve = await readFile(join(data, 'state/curve.key'), 'utf8').catch(() => '{}')
  const { secretKey = '' } = JSON.parse(curve) as { readonly secretKey?: string }
  const ticket = await readFile(join(data, 'state/ticket.key')).catch(() => Buffer.alloc(0))
  const forms = (['hex', 'base64', 'base64url'] as const).map((form) => ticket.toString(form))
  return [admin.trim(), secretKey, ...forms].filter((secret) => secret !== '')
}

function decoded(run: string): string {
  return Buffer.from(run, 'base64').toString('latin1')
}
