import { once } from 'node:events'
import { type Headers, type Pack, pack } from 'tar-stream'

export const ARCHIVE_TYPE = 'application/x-tar'

/** A file on its way into an archive. */
export interface TarFile {
  readonly name: string
  readonly size: number
  readonly modifiedMs: number
  /** `size` bytes. */
  readonly content: AsyncIterable<Uint8Array>
}

/** Seconds that a header of the format of 1988 can hold, and its readers on 32 bits understand. */
const LAST_SECOND = 2 ** 31 - 1

/** Bytes beyond which a size does not fit its octal field. */
const LARGEST_OCTAL = 8 ** 11 - 1

/** The bytes of a tar archive, at the pace of whoever reads them. Fails with whatever `files` fails with. */
export async function* tarOf(files: AsyncIterable<TarFile>): AsyncGenerator<Uint8Array> {
  const archive = pack()
  const filled = fill(archive, files).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  )
  try {
    yield* archive
  } finally {
    archive.destroy()
    await filled
  }
}

async function fill(archive: Pack, files: AsyncIterable<TarFile>): Promise<void> {
  for await (const file of files) {
    const { promise: stored, resolve, reject } = Promise.withResolvers<void>()
    const entry = archive.entry(headersOf(file), (error) => (error ? reject(error) : resolve()))
    // Told by `stored` alone; an error event that nobody listens to would end the process.
    entry.on('error', ignore)
    stored.catch(ignore)
    for await (const block of file.content) {
      // An archive that nobody reads any more does not drain.
      if (!entry.write(block)) await Promise.race([once(entry, 'drain'), stored])
    }
    entry.end()
    await stored
  }
}

/** A name or a number that the classic header cannot hold goes into an extended one. */
function headersOf({ name, size, modifiedMs }: TarFile): Headers {
  const seconds = Math.floor(modifiedMs / 1000)
  const clamped = Math.max(0, Math.min(LAST_SECOND, seconds))
  const pax = {
    ...(size > LARGEST_OCTAL && { size: String(size) }),
    ...(seconds !== clamped && { mtime: String(seconds) }),
  }
  return {
    name,
    size,
    mtime: new Date(clamped * 1000),
    ...(Object.keys(pax).length > 0 && { pax }),
  }
}

function ignore(): void {
  // Heard of elsewhere.
}
