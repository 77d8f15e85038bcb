import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hasTokenChecksum, tokenHash } from '../../src/auth/credentials/tokens.ts'
import { addUser } from '../../src/auth/users-file/edit-users-file.ts'
import { expiryOf } from '../../src/cli/commands/token-create.ts'
import { readUsersFileOnDisk, saveUsersFile } from '../../src/cli/users-file-on-disk.ts'
import { startGateway, TOKENS } from '../support/gateway.ts'
import { runBroker } from './broker-process.ts'

const USERS = `<?xml version="1.0" encoding="UTF-8"?>
<broker-users version="1">
  <role name="administrator">
    <allow actions="administer observe"/>
  </role>
  <role name="ci">
    <allow actions="publish" topics="ci/\${user}/**"/>
    <deny actions="publish" topics="ci/*/secret"/>
    <allow actions="subscribe" topics="ci/**"/>
  </role>
  <!-- kept -->
  <user name="admin" roles="administrator"/>
  <user name="jenkins" roles="ci"/>
  <anonymous/>
</broker-users>
`

interface Place extends AsyncDisposable {
  readonly cwd: string
  readonly users: string
  run(...args: string[]): ReturnType<typeof runBroker>
}

async function setUp(): Promise<Place> {
  const cwd = await mkdtemp(join(tmpdir(), 'broker-'))
  await mkdir(join(cwd, 'config'))
  const users = join(cwd, 'config/broker_users.xml')
  await writeFile(users, USERS)
  return {
    cwd,
    users,
    run: (...args) => runBroker(args, { cwd }),
    [Symbol.asyncDispose]: () => rm(cwd, { recursive: true }),
  }
}

test('token create prints a token and the element that lists it', async () => {
  await using place = await setUp()
  const { code, stdout } = await place.run(
    'token',
    'create',
    '--user',
    'jenkins',
    '--note',
    'a "b"',
  )
  assert.equal(code, 0)
  const [token = '', element] = stdout.split('\n')
  assert.ok(hasTokenChecksum(token))
  const sha256 = tokenHash(token)
  assert.equal(element, `<token id="jenkins-1" sha256="${sha256}" note="a &quot;b&quot;"/>`)
  assert.equal(await readFile(place.users, 'utf8'), USERS)
})

test('token create --write adds it to the file, which keeps its mode and its link', async () => {
  await using place = await setUp()
  const real = join(place.cwd, 'real.xml')
  await writeFile(real, USERS)
  await chmod(real, 0o640)
  await rm(place.users)
  await symlink(real, place.users)
  const args = ['token', 'create', '-u', 'jenkins', '--expires', '90d', '--write', '--json']
  const first = await place.run(...args)
  const second = await place.run(...args)
  assert.deepEqual([first.code, second.code], [0, 0], first.stderr + second.stderr)
  assert.match(first.stderr, /jenkins-1 was added to .*; a running broker takes it over within a s/)
  const { token, id, user, expires } = JSON.parse(first.stdout)
  assert.deepEqual([id, user], ['jenkins-1', 'jenkins'])
  assert.equal(JSON.parse(second.stdout).id, 'jenkins-2')
  assert.ok(Date.parse(expires) > Date.now() + 89 * 86_400_000)
  const text = await readFile(real, 'utf8')
  assert.match(text, new RegExp(`<token id="jenkins-1" sha256="${tokenHash(token)}" expires="`))
  assert.match(text, /<!-- kept -->/)
  assert.equal((await stat(real)).mode & 0o777, 0o640)
  assert.deepEqual((await readdir(place.cwd)).toSorted(), ['config', 'real.xml'])
  assert.deepEqual(await readdir(join(place.cwd, 'config')), ['broker_users.xml'])
})

test('token create --write for an unknown user ends with 4, for an invalid file with 1', async () => {
  await using place = await setUp()
  assert.equal((await place.run('token', 'create', '-u', 'nobody', '--write')).code, 4)
  await writeFile(place.users, '<broker-users')
  assert.equal((await place.run('token', 'create', '-u', 'jenkins', '--write')).code, 1)
  assert.equal(await readFile(place.users, 'utf8'), '<broker-users')
})

test('token create without a users file still makes a token', async () => {
  await using place = await setUp()
  await rm(place.users)
  const { code, stdout } = await place.run('token', 'create', '-u', 'jenkins', '--json')
  assert.equal(code, 0)
  assert.match(JSON.parse(stdout).id, /^jenkins-[0-9a-f]{8}$/)
  assert.equal(JSON.parse(stdout).expires, null)
})

test('token revoke removes it, once', async () => {
  await using place = await setUp()
  await place.run('token', 'create', '-u', 'jenkins', '--write')
  const revoked = await place.run('token', 'revoke', 'jenkins-1', '--json')
  assert.deepEqual([revoked.code, revoked.stdout], [0, '{"id":"jenkins-1","user":"jenkins"}\n'])
  assert.doesNotMatch(await readFile(place.users, 'utf8'), /<token/)
  assert.equal((await place.run('token', 'revoke', 'jenkins-1')).code, 4)
})

test('token revoke leaves the last administrator, unless the broker has a token of its own', async () => {
  await using place = await setUp()
  await place.run('token', 'create', '-u', 'admin', '--write')
  const refused = await place.run('token', 'revoke', 'admin-1')
  assert.equal(refused.code, 5)
  assert.match(refused.stderr, /no usable administrator/)
  await mkdir(join(place.cwd, 'data'))
  await writeFile(join(place.cwd, 'data/admin.token'), 'x'.repeat(40))
  assert.equal((await place.run('token', 'revoke', 'admin-1')).code, 0)
})

test('users check tells every fault with its place', async () => {
  await using place = await setUp()
  const valid = await place.run('users', 'check')
  assert.deepEqual([valid.code, valid.stdout], [0, `${place.users}: valid, 2 users, 2 roles\n`])
  assert.match(valid.stderr, /warning: no user can administer/)
  const bad = USERS.replace('roles="ci"', 'roles="none"').replace('administer ', 'rule ')
  await writeFile(place.users, bad)
  const { code, stdout, stderr } = await place.run('users', 'check', 'config/broker_users.xml')
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(
    stderr,
    /^config\/broker_users\.xml:4:\d+: .*\nconfig\/broker_users\.xml:13:\d+: .*\n$/,
  )
  const json = JSON.parse((await place.run('users', 'check', '--json')).stdout)
  assert.equal(json.valid, false)
  assert.equal(json.errors.length, 2)
})

test('the shipped users file is valid', async () => {
  const shipped = new URL('../../config/broker_users.xml', import.meta.url)
  const { code, stderr } = await runBroker(['users', 'check', shipped.pathname])
  assert.equal(code, 0, stderr)
})

for (const [args, code, words] of [
  [
    ['jenkins', 'publish', 'ci/jenkins/x'],
    0,
    /^allowed: <allow actions="publish" topics="ci\/jenkins\/\*\*"\/> \(role ci, line 7\)\n$/,
  ],
  [
    ['jenkins', 'publish', 'ci/jenkins/secret'],
    3,
    /^denied: <deny actions="publish" .* \(role ci, line 8\)\n$/,
  ],
  [['jenkins', 'publish', 'ci/other/x'], 3, /^denied: no grant allows it\n$/],
  [['admin', 'administer'], 0, /^allowed: <allow actions="administer observe"\/>/],
  [['anonymous', 'read', 'a/b'], 3, /^denied: no grant/],
  [['jenkins', 'subscribe', 'ci/*'], 0, /^allowed: <allow actions="subscribe" topics="[^"]+"\/>/],
  [['jenkins', 'subscribe', 'files/a'], 3, /^denied: no grant/],
  [['jenkins', 'subscribe', '*/x'], 0, /^allowed: that part/],
  [['anonymous', 'subscribe', '*/x'], 3, /^denied: no grant/],
  [['nobody', 'read', 'a/b'], 4, /^$/],
  [['admin', 'administer', 'x'], 2, /^$/],
  [['admin', 'read', 'a/../b'], 2, /^$/],
] as const) {
  test(`check ${args.join(' ')} ends with ${code}`, async () => {
    await using place = await setUp()
    const ran = await place.run('check', ...args)
    assert.equal(ran.code, code, ran.stderr)
    assert.match(ran.stdout, words)
  })
}

test('check --json gives the grant', async () => {
  await using place = await setUp()
  const { stdout } = await place.run('check', 'jenkins', 'publish', 'ci/jenkins/x', '--json')
  const { allowed, user, action, resource, grant } = JSON.parse(stdout)
  assert.deepEqual([allowed, user, action, resource], [true, 'jenkins', 'publish', 'ci/jenkins/x'])
  assert.equal(grant.line, 7)
})

test('an expiry is a time to come, in whole seconds', () => {
  const nowMs = Date.parse('2026-11-20T10:00:00.500Z')
  assert.equal(expiryOf(undefined, nowMs), undefined)
  assert.equal(expiryOf('1d', nowMs), Date.parse('2026-11-21T10:00:01Z'))
  assert.equal(expiryOf('2027-01-01T00:00:00Z', nowMs), Date.parse('2027-01-01T00:00:00Z'))
  for (const text of ['', '0s', 'soon', '2020-01-01T00:00:00Z', '9999999999d', '-1d']) {
    assert.throws(() => expiryOf(text, nowMs), { name: 'UsageError' }, text)
  }
})

test('users are added and removed, and the rest of the file stays as it is', async () => {
  await using place = await setUp()
  const added = await place.run('users', 'add', 'ann', '--roles', 'ci', '--json')
  assert.deepEqual([added.code, added.stdout], [0, '{"user":"ann","roles":["ci"]}\n'])
  assert.match(
    await readFile(place.users, 'utf8'),
    /"jenkins".*\n {2}<user name="ann" roles="ci"\/>\n/,
  )
  assert.equal((await place.run('users', 'add', 'ann')).code, 1)
  assert.equal((await place.run('users', 'add', 'bob', '--roles', 'none')).code, 2)
  assert.equal((await place.run('users', 'add', 'no name')).code, 2)
  assert.equal((await place.run('users', 'remove', 'ann')).code, 0)
  assert.equal(await readFile(place.users, 'utf8'), USERS)
  assert.equal((await place.run('users', 'remove', 'ann')).code, 4)
})

test('users remove leaves the last administrator', async () => {
  await using place = await setUp()
  await place.run('token', 'create', '-u', 'admin', '--write')
  const refused = await place.run('users', 'remove', 'admin')
  assert.equal(refused.code, 5)
  assert.match(refused.stderr, /no usable administrator/)
})

test('users list tells roles and credentials, and no hash', async () => {
  await using place = await setUp()
  await place.run('token', 'create', '-u', 'jenkins', '--write', '--note', 'controller')
  const { stdout } = await place.run('users', 'list')
  assert.equal(stdout, 'admin: administrator; no credential\njenkins: ci; token jenkins-1\n')
  const lines = (await place.run('users', 'list', '--json')).stdout.trim().split('\n')
  assert.deepEqual(JSON.parse(lines[1] ?? ''), {
    name: 'jenkins',
    roles: ['ci'],
    credentials: [{ kind: 'token', id: 'jenkins-1', expires: null, note: 'controller' }],
  })
})

test('users diff tells what a file would change, in words and as JSON', async () => {
  await using place = await setUp()
  const other = join(place.cwd, 'new.xml')
  await writeFile(
    other,
    USERS.replace('topics="ci/**"', 'topics="**"').replace('name="admin"', 'name="root"'),
  )
  const { code, stdout } = await place.run('users', 'diff', 'new.xml', '--base', place.users)
  assert.equal(code, 0)
  assert.deepEqual(stdout.trim().split('\n'), [
    'role ci (1 user): - allow subscribe topics="ci/**"',
    'role ci (1 user): + allow subscribe topics="**"',
    'user root: added',
    'user root: + role administrator',
    'user admin: removed',
    'user admin: - role administrator',
  ])
  const same = await place.run('users', 'diff', '--base', place.users, '--json')
  assert.deepEqual(JSON.parse(same.stdout), {
    ...{ same: true, roles: [], users: [], anonymousRoles: { gained: [], lost: [] } },
  })
})

test('users diff compares with what is in force in a broker', async () => {
  await using place = await setUp()
  await using broker = await startGateway()
  const env = { BROKER_URL: broker.url, BROKER_TOKEN: broker.adminToken }
  const inForce = join(broker.directory, 'config/broker_users.xml')
  const none = await runBroker(['users', 'diff', inForce], { cwd: place.cwd, env })
  assert.deepEqual([none.code, none.stdout, none.stderr], [0, '', 'no difference\n'])
  const some = await runBroker(['users', 'diff'], { cwd: place.cwd, env })
  assert.match(some.stdout, /^user reader: removed$/m)
  const token = { ...env, BROKER_TOKEN: TOKENS.reader }
  assert.equal((await runBroker(['users', 'diff'], { cwd: place.cwd, env: token })).code, 4)
})

test('token rotate adds a token and gives the others an end, the sooner one kept', async () => {
  await using place = await setUp()
  await place.run('token', 'create', '-u', 'jenkins', '--write')
  await place.run('token', 'create', '-u', 'jenkins', '--write', '--expires', '1h')
  const before = Date.now()
  const { code, stdout } = await place.run(
    'token',
    'rotate',
    'jenkins',
    '--overlap',
    '2h',
    '--json',
  )
  assert.equal(code, 0)
  const { token, id, expires, ending } = JSON.parse(stdout)
  assert.ok(hasTokenChecksum(token))
  assert.deepEqual([id, expires, ending.length], ['jenkins-3', null, 1])
  assert.equal(ending[0].id, 'jenkins-1')
  const end = Date.parse(ending[0].expires)
  assert.ok(end >= before + 2 * 3_600_000 && end <= Date.now() + 2 * 3_600_000 + 1000)
  const lines = (await place.run('users', 'list', '--json')).stdout.trim().split('\n')
  const { credentials } = JSON.parse(lines[1] ?? '')
  assert.deepEqual(
    credentials.map((one: { id: string }) => one.id),
    ['jenkins-1', 'jenkins-2', 'jenkins-3'],
  )
  assert.equal(credentials[0].expires, ending[0].expires)
  assert.ok(Date.parse(credentials[1].expires) < end)
  assert.equal(credentials[2].expires, null)
  assert.equal((await place.run('token', 'rotate', 'nobody')).code, 4)
  assert.equal((await place.run('token', 'rotate', 'jenkins', '--overlap', 'x')).code, 2)
})

test('users list --in-force tells when a credential was last used, after a restart too', async () => {
  await using place = await setUp()
  await using broker = await startGateway()
  await broker.request('/auth/me', { as: 'jenkins' })
  await using restarted = await broker.restart()
  const env = { BROKER_URL: restarted.url, BROKER_TOKEN: restarted.adminToken }
  const options = { cwd: place.cwd, env }
  const { stdout } = await runBroker(['users', 'list', '--in-force'], options)
  const [, jenkins, dashboard] = stdout.split('\n')
  assert.match(jenkins ?? '', /^jenkins: ci; token jenkins-1 \(used 20\d\d-.*Z\)$/)
  assert.equal(dashboard, 'dashboard: dashboard; token dashboard-1 (not used)')
})

test('what asks the broker on this machine finds its administrator token, and no other is shown it', async () => {
  await using place = await setUp()
  await using broker = await startGateway()
  const token = join(place.cwd, 'data/admin.token')
  await mkdir(join(place.cwd, 'data'))
  await writeFile(token, `${broker.adminToken}\n`)
  const run = (...args: string[]) =>
    runBroker(args, { cwd: place.cwd, env: { BROKER_TOKEN: '', BROKER_URL: broker.url } })
  const list = await run('users', 'list', '--in-force')
  assert.match(list.stdout, /^jenkins: ci;/m, list.stderr)
  const diff = await run('users', 'diff')
  assert.equal(diff.code, 0, diff.stderr)

  const authorizations: (string | undefined)[] = []
  await using stranger = createServer(({ headers }, response) => {
    authorizations.push(headers.authorization)
    response.writeHead(404).end()
  })
  await once(stranger.listen(0), 'listening')
  const { port } = stranger.address() as AddressInfo
  await run('users', 'list', '--in-force', '--url', `http://0.0.0.0:${port}`)
  assert.deepEqual(authorizations, [undefined])

  await rm(token)
  const without = await run('users', 'list', '--in-force')
  assert.equal(without.code, 3)
  assert.match(without.stderr, /\(UNAUTHENTICATED\)\nSet BROKER_TOKEN, or BROKER_TOKEN_FILE /)
})

test('users list and diff tell which jobs are a user', async () => {
  await using place = await setUp()
  const oidc =
    '<oidc issuer="https://ci.example" audience="b"><claim name="sub" value="a/*"/></oidc>'
  const other = join(place.cwd, 'new.xml')
  await writeFile(other, USERS.replace('"ci"/>', `"ci">${oidc}</user>`))
  const list = await place.run('users', 'list', '--users', other)
  assert.match(list.stdout, /^jenkins: ci; oidc https:\/\/ci\.example sub=a\/\*$/m)
  const diff = await place.run('users', 'diff', other, '--base', place.users, '--json')
  const [user] = JSON.parse(diff.stdout).users
  const [gained] = user.credentials.gained
  assert.deepEqual(gained.workload, {
    issuer: 'https://ci.example',
    audience: 'b',
    claims: [{ name: 'sub', value: 'a/*' }],
  })
  const admin = await place.run('token', 'create', '-u', 'jenkins', '--write', '--users', other)
  assert.equal(admin.code, 0)
  assert.match(await readFile(other, 'utf8'), /<token id="jenkins-1".*\n/)
})

test('an edit is not written over one that somebody else made meanwhile', async () => {
  await using place = await setUp()
  const file = await readUsersFileOnDisk(place.users)
  const other = USERS.replace('kept', 'theirs')
  await writeFile(place.users, other)
  const edit = saveUsersFile(file, addUser(file.text, 'ann', []), place.cwd)
  await assert.rejects(edit, { code: 'PRECONDITION_FAILED' })
  assert.equal(await readFile(place.users, 'utf8'), other)
  assert.deepEqual(await readdir(join(place.cwd, 'config')), ['broker_users.xml'])
})
