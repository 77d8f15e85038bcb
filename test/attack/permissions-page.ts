import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ACTIONS, type Action } from '../../src/auth/principal.ts'

/** Who asks, in the order of the columns of the page. */
export const ASKERS = [
  'anonymous',
  'wrong',
  'expired',
  'revoked',
  'no grant',
  'the others',
  'right',
] as const

export type Asker = (typeof ASKERS)[number]

/** A row of a table of docs/permissions.md. */
export interface Row {
  /** What is asked, as it stands in the first cell. */
  readonly request: string
  /** The actions of which one is needed, or none. */
  readonly actions: readonly Action[]
  /** What each of `ASKERS` is answered. */
  readonly answers: readonly string[]
}

/** The rows of the table below `heading`. */
export async function rowsOf(heading: 'HTTP' | 'WebSocket' | 'ZeroMQ'): Promise<Row[]> {
  const page = await readFile(join(import.meta.dirname, '../../docs/permissions.md'), 'utf8')
  const [, section = ''] = page.split(`## ${heading}\n`)
  const lines = (section.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
  return lines.map((line) => {
    const [request = '', needs = '', ...answers] = line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1)
    const actions = ACTIONS.filter((action) => needs.includes(`\`${action}\``))
    return { request: request.replaceAll('`', ''), actions, answers }
  })
}
