import { randomBytes, randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** HS256 needs as many bytes as its hash is long (RFC 7518 section 3.2). */
const KEY_BYTES = 32

/**
 * Reads the key that signs tickets of this installation, making it on the first start with mode 0600.
 *
 * @throws {Error} when the file is there but is no key: a short one could be guessed
 */
export async function openTicketKey(path: string): Promise<Buffer> {
  const existing = await readKey(path)
  if (existing !== undefined) return existing
  await mkdir(dirname(path), { recursive: true })
  const draft = `${path}.${randomUUID()}.tmp`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(randomBytes(KEY_BYTES))
    await file.sync()
  } finally {
    await file.close()
  }
  // Linked and not renamed: of two processes that start at once, one key wins for both.
  await link(draft, path).catch(ignoreExisting)
  await rm(draft)
  const key = await readKey(path)
  if (key === undefined) throw new Error('the ticket key vanished while it was made')
  return key
}

async function readKey(path: string): Promise<Buffer | undefined> {
  const key = await readFile(path).catch(ignoreMissing)
  if (key !== undefined && key.length !== KEY_BYTES) {
    throw new Error(
      `the ticket key ${path} does not have ${KEY_BYTES} bytes; delete it for a new one`,
    )
  }
  return key
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
