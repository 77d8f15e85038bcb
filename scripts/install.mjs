// Runs before `npm start` and `npm test`, under whatever Node is at hand: plain JavaScript, nothing but Node.
// Installs the packages when they are missing or older than the lock file; with `--test` also the
// system packages that the tests use.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

/** What the tests start or run beside the broker, with the file that shows it is there. */
const SYSTEM_PACKAGES = [
  { name: 'nginx', proof: '/usr/sbin/nginx', skips: 'the front' },
  {
    name: 'libnginx-mod-stream',
    proof: '/usr/lib/nginx/modules/ngx_stream_module.so',
    skips: 'the front',
  },
  { name: 'python3-zmq', proof: '/usr/lib/python3/dist-packages/zmq', skips: 'Python clients' },
  { name: 'curl', proof: '/usr/bin/curl', skips: 'curl clients' },
  { name: 'libxml2-utils', proof: '/usr/bin/xmllint', skips: 'the schema of the users file' },
]

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  if (error !== undefined || status !== 0) {
    console.error(`${command} ${args.join(' ')} failed`)
    process.exit(status || 1)
  }
}

function modifiedMs(file) {
  return existsSync(file) ? statSync(file).mtimeMs : 0
}

function installPackages() {
  const installed = modifiedMs(join(root, 'node_modules/.package-lock.json'))
  if (installed >= modifiedMs(join(root, 'package-lock.json'))) return
  run(npm, ['ci', '--no-audit', '--no-fund'])
}

function checkPinnedNode() {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const node = join(root, 'node_modules/.bin/node')
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  if (stdout?.trim() === `v${devDependencies.node}`) return
  console.error(
    `The pinned Node ${devDependencies.node} is not in node_modules (install scripts switched off?).\n` +
      `Run: npm rebuild node   or use Node 24 or newer.`,
  )
  if (Number(process.versions.node.split('.')[0]) < 24) process.exit(1)
}

function installSystemPackages() {
  const missing = SYSTEM_PACKAGES.filter(({ proof }) => !existsSync(proof))
  if (missing.length === 0) return
  const names = missing.map(({ name }) => name)
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    run('apt-get', ['update', '-qq'], { env })
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], { env })
    return
  }
  const skipped = [...new Set(missing.map(({ skips }) => skips))]
  console.error(
    `Not installed: ${names.join(', ')}. The tests of ${skipped.join(' and ')} are skipped.`,
  )
}

installPackages()
checkPinnedNode()
if (process.argv.includes('--test')) installSystemPackages()
