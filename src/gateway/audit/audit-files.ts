import { createReadStream } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A day in UTC and a number, so that names sort by time: `2026-11-20.0001.jsonl`. */
const NAME = /^\d{4}-\d{2}-\d{2}\.\d{4}\.jsonl$/

export function auditDirectory(data: string): string {
  return join(data, 'state', 'audit')
}

/** @param day - `2026-11-20` */
export function auditFileName(day: string, number: number): string {
  return `${day}.${String(number).padStart(4, '0')}.jsonl`
}

/** The files of an audit log, oldest first; none where there is no such directory. */
export async function auditFiles(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter((name) => NAME.test(name)).sort()
}

/** Deletes the oldest files until the others, the newest at least, have `maxBytes` together. */
export async function dropOldest(directory: string, maxBytes: number): Promise<void> {
  const names = await auditFiles(directory)
  let bytes = 0
  for (const name of [...names].reverse()) {
    const file = join(directory, name)
    bytes += (await stat(file)).size
    if (bytes > maxBytes && name !== names.at(-1)) await rm(file, { force: true })
  }
}

/** The lines of all files, oldest first. A line that a crash cut short is passed over. */
export async function* auditLines(
  directory: string,
  sinceMs: number,
): AsyncGenerator<Readonly<Record<string, unknown>>> {
  const since = new Date(sinceMs).toISOString()
  for (const name of await auditFiles(directory)) {
    if (name.slice(0, 10) < since.slice(0, 10)) continue
    const input = createReadStream(join(directory, name))
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      const record = parse(line)
      if (record !== undefined && String(record['time']) >= since) yield record
    }
  }
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
