import { mkdir, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Directories that were not there before; disposed without `keep` they are gone again, as far as empty. */
export interface MadeDirectories extends AsyncDisposable {
  keep(): void
}

/** @param paths - absolute */
export async function makeDirectories(paths: readonly string[]): Promise<MadeDirectories> {
  const made: string[] = []
  for (const path of paths) {
    const first = await mkdir(path, { recursive: true })
    if (first === undefined) continue
    const below: string[] = []
    for (let next = path; next !== first; next = dirname(next)) below.unshift(next)
    made.push(first, ...below)
  }
  return {
    keep() {
      made.length = 0
    },
    async [Symbol.asyncDispose]() {
      for (const path of made.reverse()) await rmdir(path).catch(() => {})
    },
  }
}
