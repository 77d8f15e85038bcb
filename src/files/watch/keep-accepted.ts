import type { FilePath } from '../../protocol/file-path.ts'
import type { FileIndex } from '../index/file-index.ts'
import type { PathLocks } from '../path-locks.ts'
import type { ContentReader } from './content-reader.ts'
import type { WatchLog } from './watch-log.ts'

export interface KeepAcceptedDeps {
  readonly index: FileIndex
  readonly content: ContentReader
  readonly locks: PathLocks
  readonly log: WatchLog
}

/**
 * Makes the copies that are missing of accepted contents, as far as these are still on disk: of files that
 * were there before the rule that judges them. One that cannot be copied is served as long as it is not
 * edited.
 */
export async function keepAccepted(
  paths: readonly FilePath[],
  { index, content, locks, log }: KeepAcceptedDeps,
): Promise<void> {
  for (const path of paths) {
    try {
      await locks.hold(path, async () => {
        const entry = await index.get(path)
        await using copy = await content.copy(path)
        if (copy !== undefined && copy.sha256 === entry?.sha256) await copy.keep()
      })
    } catch (err) {
      log.warn({ event: 'files.accepted', path, err }, 'an accepted content could not be kept')
    }
  }
}
