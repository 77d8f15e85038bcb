/** One of three ways to know what is in a tree; two of them go on to see what changes. */

import { once } from 'node:events'
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { watch } from 'chokidar'
import { HIDDEN_NAMES } from '../../src/files/watch/tree-names.ts'
import { startWatchThread, Watcher } from '../../src/files/watch/watcher.ts'
import { answerCalls } from '../load/process-calls.ts'

/** Heap of the thread in MB, as the broker starts it. */
const HEAP_MB = 64

export interface Watched {
  readonly readyMs: number
  /** Files that were met; a bare chokidar does not say. */
  readonly files?: number
}

async function watchAsBroker(root: string): Promise<number> {
  const settings = { root, cookies: `${root}-cookies`, prefix: '', excluded: [] }
  const fail = (error: Error) => {
    throw error
  }
  const link = startWatchThread({ ...settings, hidden: HIDDEN_NAMES }, HEAP_MB)
  const ignore = () => {}
  const watcher = new Watcher(link, {
    ...{ onHints: ignore, onCoverage: ignore, onTrouble: fail, onLost: fail },
  })
  await watcher.cover(false)
  let files = 0
  for await (const { paths } of watcher.scan('')) files += paths.length
  return files
}

async function watchByChokidar(root: string): Promise<undefined> {
  await once(watch(root, { ignoreInitial: true }), 'ready')
}

function walk(directory: string): number {
  let files = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) files += walk(path)
    else if (lstatSync(path).isFile()) files += 1
  }
  return files
}

async function timed(work: () => Promise<number | undefined>): Promise<Watched> {
  const beganMs = performance.now()
  const files = await work()
  return { readyMs: performance.now() - beganMs, ...(files !== undefined && { files }) }
}

const api = {
  broker: (root: string) => timed(() => watchAsBroker(root)),
  chokidar: (root: string) => timed(() => watchByChokidar(root)),
  walk: (root: string) => timed(async () => walk(root)),
}

/** What the process can be asked for, once. */
export type WatchingApp = typeof api

answerCalls(api)
