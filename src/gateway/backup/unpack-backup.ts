import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import { json } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { type Entry, extract } from 'tar-stream'
import { parseFilePath } from '../../protocol/file-path.ts'
import {
  BACKUP_FORMAT,
  BackupDigest,
  type BackupManifest,
  type BackupSummary,
  DATABASE_ENTRY,
  FILES_PREFIX,
  MANIFEST,
  USERS_ENTRY,
} from './backup-manifest.ts'

/**
 * Unpacks and verifies a backup. What was unpacked of a bad one is left to the caller.
 *
 * @param draftOf - where an entry goes; undefined for a name that does not belong into a backup
 * @throws {Error} in words for the operator, when it is damaged, cut short or of another format
 */
export async function unpackBackup(
  file: string,
  draftOf: (name: string) => string | undefined,
): Promise<BackupSummary> {
  const archive = extract()
  const reading = pipeline(createReadStream(file), archive)
  reading.catch(() => archive.destroy())
  const digest = new BackupDigest()
  const seen = new Set<string>()
  let manifest: BackupManifest | undefined
  try {
    for await (const entry of archive) {
      const { name, size = 0 } = entry.header
      // The parser would wait for ever for the end of an entry of -1 bytes, or of NaN.
      if (!(size >= 0)) throw new Error(`the size of ${name} is none`)
      if (manifest !== undefined) throw new Error('something follows its end')
      if (name === MANIFEST) {
        manifest = (await json(entry)) as BackupManifest
        continue
      }
      const draft = isFileName(name) ? draftOf(name) : undefined
      if (draft === undefined) throw new Error(`${name} does not belong into it`)
      if (!name.startsWith(FILES_PREFIX)) seen.add(name)
      await unpackEntry(entry, draft, digest)
    }
    await reading
  } catch (cause) {
    archive.destroy()
    await reading.catch(() => {})
    const { errno, message } = cause as NodeJS.ErrnoException
    const verdict = errno === undefined ? 'is damaged or no backup' : 'could not be unpacked'
    throw new Error(`${file} ${verdict}: ${message}`, { cause })
  }
  if (!manifest) throw new Error(`${file} is cut short: its manifest is missing`)
  if (manifest.format !== BACKUP_FORMAT) {
    throw new Error(`${file} has format ${manifest.format}, this broker reads ${BACKUP_FORMAT}`)
  }
  const isWhole = seen.has(DATABASE_ENTRY) && seen.has(USERS_ENTRY)
  if (!isWhole || digest.end(manifest) !== manifest.sha256) throw new Error(`${file} is damaged`)
  return manifest
}

/** Names come from a file that somebody else may have made. */
function isFileName(name: string): boolean {
  return !name.startsWith(FILES_PREFIX) || parseFilePath(name.slice(FILES_PREFIX.length)).ok
}

/** A second one of the same name is refused by `wx`. */
async function unpackEntry(entry: Entry, draft: string, digest: BackupDigest): Promise<void> {
  const { name, size = 0, mtime, type } = entry.header
  if (type !== 'file') throw new Error(`${name} is no file`)
  await mkdir(dirname(draft), { recursive: true })
  const mode = name.startsWith(FILES_PREFIX) ? 0o666 : 0o600
  const out = createWriteStream(draft, { flags: 'wx', mode, flush: true })
  await pipeline(digest.entry({ name, size }, entry), out)
  if (mtime !== undefined) await utimes(draft, mtime, mtime)
}
