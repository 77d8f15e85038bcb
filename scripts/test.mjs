// `npm test` and `npm run soak`: all tests below test/, or those named on the command line.
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const named = process.argv.slice(2)
const files = named.length > 0 ? named : globSync('test/**/*.test.ts').sort()
// More files at once than cores: most of them wait for processes and the disk.
const atOnce = `--test-concurrency=${availableParallelism() + 1}`
// A soak is thousands of rounds of the same.
const timeout = `--test-timeout=${process.env.SOAK === undefined ? 300_000 : 7_200_000}`
const { status } = spawnSync(
  process.execPath,
  ['--disable-warning=ExperimentalWarning', '--test', timeout, atOnce, ...files],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)
