/** A process that writes a tree of small files as fast as it can. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answerCalls } from './process-calls.ts'

const FILES_IN_EACH = 100

const api = {
  write({ root, files }: { readonly root: string; readonly files: number }): void {
    for (let file = 0; file < files; file += 1) {
      const directory = join(root, String(Math.floor(file / FILES_IN_EACH)))
      if (file % FILES_IN_EACH === 0) mkdirSync(directory, { recursive: true })
      writeFileSync(join(directory, String(file)), `file ${file} of ${root}`)
    }
  },
}

/** What the process of the tree writer can be asked for. */
export type TreeWriter = typeof api

answerCalls(api)
