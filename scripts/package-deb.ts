// Builds the Debian package: node scripts/package-deb.ts [--out DIR] [--compress xz|none]
// The same sources give the same bytes: times are those of SOURCE_DATE_EPOCH, else of the last commit.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const DEBIAN = join(ROOT, 'packaging/debian')
const NODE = join(ROOT, 'node_modules/node/bin/node')
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** No public address is known. */
const MAINTAINER = 'The authors of Data Broker <data-broker@localhost>'

const SCRIPTS = ['postinst', 'prerm', 'postrm']
const PROGRAMS: ReadonlySet<string> = new Set([
  ...['node', 'broker'].map((name) => `usr/lib/data-broker/bin/${name}`),
  ...SCRIPTS.map((name) => `DEBIAN/${name}`),
])

/** What the pages lead to: it lies beside them as it does in the sources, so that the same links are right. */
const NAMED_BY_PAGES = [
  'config/broker_users.xml',
  'examples/file-policy',
  'packaging/grafana',
  'packaging/prometheus',
]

/** In the packages of npm: what is compiled for other systems, and what nothing needs at run time. */
const LEFT_OUT = [
  '**/.*',
  '**/*.{map,ts,mts,cts,html,sh}',
  '{*,@*/*}/{benchmark,benchmarks,docs,example,examples,test,tests}',
  `zeromq/build/!(linux|manifest.json)`,
  `zeromq/build/linux/!(${process.arch})`,
  `zeromq/build/linux/*/node/!(glibc-*)`,
  'zeromq/{src,script,vcpkg.json,CMakeLists.txt}',
  'node-addon-api',
]

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: '.' },
    compress: { type: 'string', default: 'xz' },
  },
})
const { version, devDependencies } = JSON.parse(
  readFileSync(join(ROOT, 'package.json'), 'utf8'),
) as { version: string; devDependencies: { node: string } }
// A pre-release comes before its release.
const debianVersion = version.replace('-', '~')
const architecture = ARCHITECTURES[process.arch]
if (architecture === undefined) throw new Error(`no package for ${process.arch}`)
if (!existsSync(NODE)) throw new Error(`${NODE} is missing; run: npm ci`)

const epoch = Number(
  process.env['SOURCE_DATE_EPOCH'] ??
    execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' }),
)
const stage = mkdtempSync(join(tmpdir(), 'data-broker-deb-'))
try {
  stageProgram(join(stage, 'usr/lib/data-broker'))
  stageSystem()
  stageControl()
  normalise(stage)
  const file = join(resolve(values.out), `data-broker_${version}_${architecture}.deb`)
  mkdirSync(dirname(file), { recursive: true })
  const build = ['--root-owner-group', `-Z${values.compress}`, '--build', stage, file]
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) }
  execFileSync('dpkg-deb', build, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  console.log(file)
} finally {
  rmSync(stage, { recursive: true })
}

/** The compiled product with the packages and the Node that it runs on. */
function stageProgram(lib: string): void {
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const options = ['--outDir', join(lib, 'dist'), '--declaration', 'false', '--sourceMap', 'false']
  execFileSync(tsc, ['--project', 'tsconfig.build.json', ...options], {
    cwd: ROOT,
    stdio: 'inherit',
  })
  for (const name of ['package.json', 'bin/broker.js', 'config']) copy(join(ROOT, name), lib, name)
  copy(NODE, lib, 'bin/node')
  copy(join(DEBIAN, 'broker'), lib, 'bin/broker')
  for (const path of productionPackages()) {
    const nested = join(ROOT, path, 'node_modules')
    cpSync(join(ROOT, path), join(lib, path), {
      recursive: true,
      filter: (source) => source !== nested,
    })
  }
  for (const path of globSync(LEFT_OUT, { cwd: join(lib, 'node_modules') })) {
    rmSync(join(lib, 'node_modules', path), { recursive: true, force: true })
  }
}

/** Where the packages lie that the product needs, as the lock file says. */
function productionPackages(): readonly string[] {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean; optional?: boolean }>
  }
  return Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
    .filter(([path, { optional }]) => !optional || existsSync(join(ROOT, path)))
    .map(([path]) => path)
}

/** What lies elsewhere: the command, units, settings and pages. */
function stageSystem(): void {
  mkdirSync(join(stage, 'usr/bin'), { recursive: true })
  symlinkSync('../lib/data-broker/bin/broker', join(stage, 'usr/bin/broker'))
  copy(join(ROOT, 'packaging/systemd'), stage, 'usr/lib/systemd/system')
  copy(join(ROOT, 'packaging/broker.json'), stage, 'etc/data-broker/broker.json')
  const doc = join(stage, 'usr/share/doc/data-broker')
  for (const name of ['docs', ...NAMED_BY_PAGES, 'CHANGELOG.md']) copy(join(ROOT, name), doc, name)
  copy(join(DEBIAN, 'copyright'), doc, 'copyright')
  for (const name of globSync('nginx/*.conf', { cwd: ROOT })) {
    copy(join(ROOT, name), doc, join('examples', name))
  }
  writeCompressed(join(doc, 'changelog.gz'), changelog())
  copy(join(DEBIAN, 'lintian-overrides'), stage, 'usr/share/lintian/overrides/data-broker')
  writeCompressed(join(stage, 'usr/share/man/man1/broker.1.gz'), manualPage())
}

function changelog(): string {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')
  return `data-broker (${debianVersion}) unstable; urgency=medium

  * What users notice stands in CHANGELOG.md.

 -- ${MAINTAINER}  ${date}
`
}

/** The help of the command, as it prints it. */
function manualPage(): string {
  const help = execFileSync(NODE, [join(ROOT, 'bin/broker.js'), '--help'], { encoding: 'utf8' })
  const text = help
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^(?=[.'])/gm, '\\&')
  return `.TH BROKER 1 "" "Data Broker ${version}"
.SH NAME
broker \\- run a data broker, publish events, store files
.SH SYNOPSIS
.nf
${text}.fi
`
}

function writeCompressed(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, gzipSync(text, { level: 9 }))
}

function stageControl(): void {
  const control = join(stage, 'DEBIAN')
  for (const name of SCRIPTS) copy(join(DEBIAN, name), control, name)
  const files = filesBelow(stage).filter((path) => !path.startsWith(control))
  const kibibytes = files.reduce((sum, path) => sum + Math.ceil(lstatSync(path).size / 1024), 0)
  writeFileSync(join(control, 'control'), controlFile(kibibytes))
  const inPackage = (path: string) => relative(stage, path)
  const settings = files.map(inPackage).filter((path) => path.startsWith('etc/'))
  writeFileSync(join(control, 'conffiles'), settings.map((path) => `/${path}\n`).join(''))
  const sums = files
    .filter((path) => lstatSync(path).isFile())
    .map(
      (path) =>
        `${createHash('md5').update(readFileSync(path)).digest('hex')}  ${inPackage(path)}\n`,
    )
  writeFileSync(join(control, 'md5sums'), sums.join(''))
}

function controlFile(kibibytes: number): string {
  return `Package: data-broker
Version: ${debianVersion}
Architecture: ${architecture}
Maintainer: ${MAINTAINER}
Installed-Size: ${kibibytes}
Depends: libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 9), passwd
Suggests: nginx, libnginx-mod-stream
Section: net
Priority: optional
Description: gateway through which systems exchange events and files
 Producers publish events and upload files in one standard way, consumers
 subscribe and collect in one standard way, and neither knows the other.
 .
 Contains Node.js ${devDependencies.node}, with which it was tested.
`
}

/** Modes that do not depend on the umask of the builder, and the time of the sources. */
function normalise(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) normalise(path)
    else if (!entry.isSymbolicLink())
      chmodSync(path, PROGRAMS.has(relative(stage, path)) ? 0o755 : 0o644)
    lutimesSync(path, epoch, epoch)
  }
  chmodSync(directory, 0o755)
  lutimesSync(directory, epoch, epoch)
}

function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

function copy(source: string, directory: string, name: string): void {
  cpSync(source, join(directory, name), { recursive: true })
}
