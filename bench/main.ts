import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { authorisation } from './authorisation.ts'
import { downloads } from './downloads.ts'
import { fanOut } from './fan-out.ts'
import { fanOutGroups } from './fan-out-groups.ts'
import { fanOutPeers } from './fan-out-peers.ts'
import { formUploads } from './form-uploads.ts'
import { frozen } from './frozen.ts'
import { idleMemory } from './idle-memory.ts'
import { largeDownloads } from './large-downloads.ts'
import { largeUploads } from './large-uploads.ts'
import { latency } from './latency.ts'
import type { Line } from './measure/line.ts'
import { isInstalled, machineFacts, packageVersion, versionOf } from './measure/machine.ts'
import { type Facts, mergePage } from './measure/page.ts'
import { markdownSection } from './measure/report.ts'
import { publishRate } from './publish-rate.ts'
import { tls } from './tls.ts'
import { tus } from './tus.ts'
import { uploadEvents } from './upload-events.ts'
import { uploadMemory } from './upload-memory.ts'
import { uploads } from './uploads.ts'
import { watcher } from './watcher.ts'
import { watcherRequests } from './watcher-requests.ts'
import { zmqPublish } from './zmq-publish.ts'
import { zmqSubscribe } from './zmq-subscribe.ts'

const LINES: readonly Line[] = [
  fanOut,
  fanOutGroups,
  fanOutPeers,
  latency,
  frozen,
  publishRate,
  zmqPublish,
  zmqSubscribe,
  idleMemory,
  downloads,
  largeDownloads,
  tls,
  uploads,
  tus,
  largeUploads,
  formUploads,
  uploadMemory,
  uploadEvents,
  authorisation,
  watcher,
  watcherRequests,
]

const PAGE = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url))

const USAGE = `Usage: npm run bench [-- [--quick] [LINE...]]

Measures the broker beside its peers and writes docs/benchmarks.md.

Lines: ${LINES.map(({ name }) => name).join(', ')}; all of them without an argument.
  --quick  fewer and shorter rounds, to see that all works; the page stays as it is
`

const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } },
  allowPositionals: true,
})
const isUnknown = positionals.some((name) => !LINES.some((line) => line.name === name))
if (values.help || isUnknown) {
  process.stdout.write(USAGE)
  process.exit(values.help ? 0 : 2)
}

const facts = environment()
for (const [name, value] of facts) console.log(`${name}: ${value}`)
for (const line of LINES) {
  if (positionals.length > 0 && !positionals.includes(line.name)) continue
  console.log(`\n${line.name}`)
  const missing = line.needs.filter((program) => !isInstalled(program))
  if (missing.length > 0) {
    console.log(`left out; first: apt-get install ${missing.join(' ')}`)
    continue
  }
  const section = markdownSection(await line.run({ isQuick: values.quick, tell: console.log }), {
    command: `npm run bench -- ${line.name}`,
    date: new Date().toISOString().slice(0, 10),
  })
  console.log(`\n${section}`)
  if (!values.quick) await writeSection(section)
}

/** Written after each line: what has been measured is kept when a later one fails. */
async function writeSection(section: string): Promise<void> {
  await mkdir(dirname(PAGE), { recursive: true })
  const page = await readFile(PAGE, 'utf8').catch(() => '')
  await writeFile(PAGE, mergePage(page, section, facts))
}

function environment(): Facts {
  return [
    ...machineFacts(),
    ['Node', process.version],
    [
      'Fastify, ws, Socket.IO, zeromq',
      ['fastify', 'ws', 'socket.io', 'zeromq'].map(packageVersion).join(', '),
    ],
    ['nats-server', versionOf('nats-server', ['--version'])],
    ['Mosquitto', versionOf('mosquitto', ['-h'])],
    ['Nginx', versionOf('nginx', ['-v'])],
    ['wrk', versionOf('wrk', ['-v'])],
  ]
}
