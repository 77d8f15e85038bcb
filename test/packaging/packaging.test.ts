import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseSettings } from '../../src/gateway/settings/settings.ts'
import { run } from '../support/broker-process.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const SYSTEMD = join(ROOT, 'packaging/systemd')
const DOCKER = join(ROOT, 'packaging/docker')
const skip = existsSync('/usr/bin/systemd-analyze') ? false : 'systemd-analyze is not installed'

/** The units with a program that is there, since the broker is not installed. */
async function unitsToCheck(): Promise<{ path: string; names: string[] } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'units-'))
  await cp(SYSTEMD, path, { recursive: true })
  const names = (await readdir(path)).sort()
  for (const name of names) {
    const text = await readFile(join(path, name), 'utf8')
    const installed = text
      .replaceAll(/^(ExecStart(?:Pre)?=)\S+/gm, '$1/bin/true')
      .replace(/^Documentation=.*\n/m, '')
    await writeFile(join(path, name), installed)
  }
  return { path, names, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

test('systemd takes every line of the units', { skip }, async () => {
  await using units = await unitsToCheck()
  const paths = units.names.map((name) => join(units.path, name))
  const { code, stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', ...paths], {
    mayFail: true,
  })
  const ours = (stdout + stderr).split('\n').filter((line) => line.includes(units.path))
  assert.deepEqual(ours, [])
  assert.equal(code, 0, stderr)
})

test('systemd judges the services to be well confined', { skip }, async () => {
  await using units = await unitsToCheck()
  const most = { 'data-broker': 2.5, 'data-broker-backup': 6, 'data-broker-nginx': 4 }
  for (const [name, allowed] of Object.entries(most)) {
    const unit = join(units.path, `${name}.service`)
    const args = ['security', '--offline=true', '--no-pager', unit]
    const { stdout } = await run('systemd-analyze', args, { mayFail: true })
    const [, exposure] = /Overall exposure level for \S+: (\d+\.\d+)/.exec(stdout) ?? []
    assert.ok(Number(exposure) < allowed, stdout)
  }
})

test('the services start the command with settings that it knows', async () => {
  for (const name of await readdir(SYSTEMD)) {
    if (!name.endsWith('.service')) continue
    const text = await readFile(join(SYSTEMD, name), 'utf8')
    if (name === 'data-broker-nginx.service') continue
    assert.match(text, /^ExecStart=\/usr\/bin\/broker (?:serve|backup )/m)
    assert.match(text, /^Environment=BROKER_CONFIG=\/etc\/data-broker\/broker\.json$/m)
  }
  const text = await readFile(join(ROOT, 'packaging/broker.json'), 'utf8')
  const settings = parseSettings({ file: { name: 'broker.json', text }, cwd: '/' })
  assert.ok(settings.ok)
  assert.equal(settings.value.data, '/var/lib/data-broker')
})

interface Instruction {
  readonly keyword: string
  readonly rest: string
}

/** Instructions with their continued lines joined. */
function instructionsOf(text: string): readonly Instruction[] {
  const joined = text.replaceAll(/^\s*#.*\n/gm, '').replaceAll(/\\\n/g, ' ')
  const lines = joined.split('\n').filter((line) => line.trim() !== '')
  return lines.map((line) => {
    const [, keyword = '', rest = ''] = /^([A-Z]+)\s+(.+)$/.exec(line) ?? []
    assert.notEqual(keyword, '', line)
    return { keyword, rest }
  })
}

test('the image runs as another user than root, is looked after, and copies what is there', async () => {
  const all = instructionsOf(await readFile(join(DOCKER, 'Dockerfile'), 'utf8'))
  const last = all.slice(all.findLastIndex(({ keyword }) => keyword === 'FROM'))
  const one = (keyword: string) => last.find((each) => each.keyword === keyword)?.rest
  assert.match(one('FROM') ?? '', /^node:24-bookworm-slim$/)
  assert.equal(one('USER'), 'broker')
  assert.ok(last.findIndex(({ keyword }) => keyword === 'USER') < last.length - 1)
  assert.match(one('HEALTHCHECK') ?? '', /\/readyz/)
  assert.doesNotThrow(() => JSON.parse(/CMD (\[.*\])$/.exec(one('HEALTHCHECK') ?? '')?.[1] ?? ''))
  for (const keyword of ['ENTRYPOINT', 'CMD', 'VOLUME']) JSON.parse(one(keyword) ?? '')
  const entry: string[] = JSON.parse(one('ENTRYPOINT') ?? '[]')
  const [shebang = ''] = (await readFile(join(ROOT, 'bin/broker.js'), 'utf8')).split('\n')
  assert.deepEqual(entry.slice(0, 2), shebang.replace(/^.*-S /, '').split(' '))
  for (const { keyword, rest } of last) {
    const [, source] = /^--from=build \/build\/(\S+)/.exec(rest) ?? []
    if (keyword !== 'COPY' || source === undefined || source === 'dist') continue
    assert.ok(existsSync(join(ROOT, source)), source)
  }
  const env = Object.fromEntries(
    [...(one('ENV') ?? '').matchAll(/\b(BROKER_\w+)=(\S+)/g)].map(([, key, value]) => [key, value]),
  )
  assert.ok(parseSettings({ env, cwd: '/' }).ok)
})

test('the compose file builds that image, keeps what it writes, and is for this machine alone', async () => {
  const text = await readFile(join(DOCKER, 'compose.yaml'), 'utf8')
  const listed = (name: string) => {
    const [, lines = ''] = new RegExp(`^    ${name}:\\n((?:      - .+\\n)+)`, 'm').exec(text) ?? []
    return [...lines.matchAll(/- '?([^'\n]+)/g)].map(([, item = '']) => item)
  }
  const one = (name: string) => new RegExp(`^ +${name}: (.+)$`, 'm').exec(text)?.[1] ?? ''
  assert.equal(join(DOCKER, one('context')), ROOT.replace(/\/$/, ''))
  assert.ok(existsSync(join(ROOT, one('dockerfile'))))
  const all = instructionsOf(await readFile(join(DOCKER, 'Dockerfile'), 'utf8'))
  const kept: string[] = JSON.parse(all.find((each) => each.keyword === 'VOLUME')?.rest ?? '[]')
  const mounts = listed('volumes').map((mount) => mount.split(':'))
  assert.deepEqual(mounts.map(([, target]) => target).sort(), kept.toSorted())
  for (const [name = ''] of mounts) assert.match(text, new RegExp(`^  ${name}: \\{\\}$`, 'm'))
  for (const port of listed('ports')) assert.match(port, /^127\.0\.0\.1:/)
  assert.equal(one('read_only'), 'true')
  assert.match(text, /no-new-privileges:true/)
})
