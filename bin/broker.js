#!/usr/bin/env -S node --max-semi-space-size=8
// Starts the command on Node 24 or newer: this one, else the pinned one of node_modules. Left alone, the young
// generation grows to 70 MB while clients connect and stays so: more than 10,000 idle ones need (measured).
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// Durable uploads wait for the disk on this pool; four threads, the default, are too few for sixteen at once.
process.env.UV_THREADPOOL_SIZE ??= '16'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const isCurrent = Number(process.versions.node.split('.')[0]) >= 24

if (isCurrent) {
  const source = join(root, 'src/cli/main.ts')
  const main = existsSync(source) ? source : join(root, 'dist/cli/main.js')
  await import(pathToFileURL(main).href)
} else {
  runPinned(join(root, 'node_modules/node/bin/node'))
}

function runPinned(node) {
  if (!existsSync(node)) {
    console.error(`broker needs Node 24 or newer; this is ${process.version}. Run: npm ci`)
    process.exit(1)
  }
  const child = spawn(node, [...process.execArgv, ...process.argv.slice(1)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal))
  }
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
