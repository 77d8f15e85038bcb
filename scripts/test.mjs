// `npm test` and `npm run soak`: all tests below test/, or those named on the command line.
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'

const named = process.argv.slice(2)
const files = named.length > 0 ? named : globSync('test/**/*.test.ts').sort()
const { status } = spawnSync(
  process.execPath,
  ['--disable-warning=ExperimentalWarning', '--test', '--test-timeout=300000', ...files],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)
