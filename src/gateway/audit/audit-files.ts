import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

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

/** A line as it is read: whatever its file holds. */
export type AuditLine = Readonly<Record<string, unknown>> & { readonly time: string }

/** The lines of all files, oldest first. One that is no record, such as the half of one, is passed over. */
export async function* auditLines(directory: string, sinceMs: number): AsyncGenerator<AuditLine> {
  const since = new Date(sinceMs).toISOString()
  for (const name of await auditFiles(directory)) {
    if (name.slice(0, 10) < since.slice(0, 10)) continue
    await using file = await openIfThere(join(directory, name))
    for await (const line of file?.readLines() ?? []) {
      const record = parse(line)
      if (record !== undefined && record.time >= since) yield record
    }
  }
}

/** The oldest may be deleted meanwhile. */
async function openIfThere(file: string): Promise<FileHandle | undefined> {
  return open(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

function parse(line: string): AuditLine | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || !('time' in value)) return undefined
    const { time } = value
    return typeof time === 'string' ? { ...value, time } : undefined
  } catch {
    return undefined
  }
}
