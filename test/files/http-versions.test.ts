import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_LIMITS, FilePolicy, type FileRule } from '../../src/files/file-policy.ts'
import type { VersionEntry } from '../../src/files/http/versions.ts'
import { entityTagOf } from '../../src/files/store/entity-tag.ts'
import { pathOf } from '../contract/file-index.ts'
import { sha256, types } from '../contract/file-store.ts'
import { EVERYTHING, filesApp, formOf, type Grants, principalWith } from './support-http.ts'
import { type DiskStoreUnderTest, openDiskStore } from './support-store.ts'

class Versions implements AsyncDisposable {
  readonly subject: DiskStoreUnderTest
  readonly app: ReturnType<typeof filesApp>
  grants: Grants = EVERYTHING
  user: string | null = 'tester'
  nowMs = 1_700_000_000_000

  private constructor(subject: DiskStoreUnderTest) {
    this.subject = subject
    const { history } = subject.store
    const principal = () => principalWith(this.grants, this.user)
    this.app = filesApp(subject.store, { history, principal })
  }

  static async open(...rules: Omit<FileRule, 'globs'>[]): Promise<Versions> {
    const policy = new FilePolicy(
      DEFAULT_LIMITS,
      rules.map((rule) => ({ globs: ['**'], ...rule })),
    )
    let now = () => 0
    const versions = new Versions(await openDiskStore({ policy, now: () => now() }))
    now = () => versions.nowMs
    return versions
  }

  put(path: string, payload: string, headers: Record<string, string> = {}) {
    this.nowMs += 1000
    return this.app.inject({ method: 'PUT', url: `/files/${path}`, payload, headers })
  }

  delete(path: string) {
    this.nowMs += 1000
    return this.app.inject({ method: 'DELETE', url: `/files/${path}` })
  }

  get(target: string, headers: Record<string, string> = {}) {
    return this.app.inject({ url: `/files/${target}`, headers })
  }

  restore(path: string, id: string | undefined, headers: Record<string, string> = {}) {
    this.nowMs += 1000
    return this.app.inject({ method: 'POST', url: `/files/${path}?restore=${id}`, headers })
  }

  async list(path: string): Promise<VersionEntry[]> {
    const listed = await this.get(`${path}?versions`)
    assert.equal(listed.statusCode, 200, listed.body)
    return listed.json().versions
  }

  /** The contents of all versions, newest first, each by its own request. */
  async contents(path: string): Promise<string[]> {
    const listed = await this.list(path)
    return Promise.all(
      listed.map(async ({ version }) => (await this.get(`${path}?version=${version}`)).body),
    )
  }

  /** Names of the files that hold versions. */
  files(): Promise<string[]> {
    return readdir(join(this.subject.directory, 'data/state/volumes/default/versions'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close()
    await this.subject[Symbol.asyncDispose]()
  }
}

test('every content that is replaced is listed newest first, and served as a file is', async () => {
  await using under = await Versions.open({ versions: {} })
  for (const content of ['one', 'two', 'three']) await under.put('d/x.txt', content)
  const listed = await under.list('d/x.txt')
  assert.deepEqual(
    listed.map(({ etag, size, deleted }) => [etag, size, deleted]),
    [
      [entityTagOf(sha256('two')), 3, false],
      [entityTagOf(sha256('one')), 3, false],
    ],
  )
  assert.ok(String(listed[0]?.replaced) > String(listed[1]?.replaced))
  const target = `d/x.txt?version=${listed[1]?.version}`
  const got = await under.get(target)
  assert.equal(got.body, 'one')
  assert.equal(got.headers.etag, entityTagOf(sha256('one')))
  assert.equal(got.headers['content-type'], 'text/plain; charset=utf-8')
  assert.match(String(got.headers['repr-digest']), /^sha-256=:.+:$/)
  const part = await under.get(target, { range: 'bytes=1-', 'if-range': String(got.headers.etag) })
  assert.deepEqual([part.statusCode, part.body], [206, 'ne'])
  const same = await under.get(target, { 'if-none-match': String(got.headers.etag) })
  assert.equal(same.statusCode, 304)
  assert.equal((await under.get('d/x.txt')).body, 'three')
  assert.deepEqual(await under.subject.leftovers(), [])
})

test('the same content again, and a refused upload, leave no version', async () => {
  await using under = await Versions.open({ versions: {} })
  await under.put('x', 'one')
  await under.put('x', 'one')
  assert.equal((await under.put('x', 'two', { 'if-match': '"other"' })).statusCode, 412)
  assert.deepEqual(await under.list('x'), [])
  assert.deepEqual(await under.files(), [])
})

test('a form keeps what each of its files replaces', async () => {
  await using under = await Versions.open({ versions: {} })
  await under.put('d/1', 'one')
  await under.put('d/2', 'two')
  const form = formOf([
    ['1', 'uno'],
    ['2', 'due'],
    ['3', 'tre'],
  ])
  const posted = await under.app.inject({ method: 'POST', url: '/files/d/', ...form })
  assert.equal(posted.statusCode, 201, posted.body)
  assert.deepEqual(await under.contents('d/1'), ['one'])
  assert.deepEqual(await under.contents('d/2'), ['two'])
  assert.deepEqual(await under.contents('d/3'), [])
})

test('without a rule nothing is kept', async () => {
  await using under = await Versions.open()
  await under.put('x', 'one')
  await under.put('x', 'two')
  assert.deepEqual(await under.list('x'), [])
  await under.delete('x')
  assert.equal((await under.get('x?versions')).statusCode, 404)
  assert.deepEqual(await under.files(), [])
})

test('a version beyond the number that is kept goes with the upload that made it one too many', async () => {
  await using under = await Versions.open({ versions: { keep: 2 } })
  for (const content of ['1', '2', '3', '4', '5']) await under.put('x', content)
  assert.deepEqual(await under.contents('x'), ['4', '3'])
  assert.equal((await under.files()).length, 2)
})

test('a version beyond its age is not shown any more and swept', async () => {
  await using under = await Versions.open({ versions: { ageMs: 60_000 } })
  await under.put('x', 'one')
  await under.put('x', 'two')
  const [version] = await under.list('x')
  under.nowMs += 60_000
  assert.deepEqual(await under.list('x'), [])
  assert.equal((await under.get(`x?version=${version?.version}`)).statusCode, 404)
  assert.equal((await under.restore('x', version?.version)).statusCode, 404)
  assert.equal((await under.files()).length, 1)
  assert.equal(await under.subject.store.history.sweep(), 1)
  assert.deepEqual(await under.files(), [])
  assert.deepEqual(await under.subject.index.versions.usage(), { count: 0, bytes: 0 })
})

test('a deleted file is listed and brought back by the restore of its version', async () => {
  await using under = await Versions.open({ undeleteMs: 3_600_000 })
  await under.put('d/e/x', 'one')
  await under.put('d/y', 'two')
  await under.put('d/y', 'never kept')
  await under.app.inject({ method: 'DELETE', url: '/files/d/?recursive' })
  assert.equal((await under.get('d/')).statusCode, 404)
  const listed = (await under.get('d/?deleted')).json()
  assert.equal(listed.path, 'd')
  assert.deepEqual(
    listed.entries.map(({ name, size, deleted }: VersionEntry & { name: string }) => [
      name,
      size,
      deleted,
    ]),
    [
      ['e/x', 3, true],
      ['y', 10, true],
    ],
  )
  const first = await under.get('d/?deleted&limit=1')
  assert.equal(first.headers['link'], '<?deleted=&limit=1&cursor=e%2Fx>; rel="next"')
  const paged = first.json()
  assert.equal(paged.next, 'e/x')
  const rest = (await under.get(`d/?deleted&limit=1&cursor=${paged.next}`)).json()
  assert.deepEqual([rest.entries.length, rest.entries[0].name, rest.next], [1, 'y', null])

  const [version] = await under.list('d/e/x')
  const restored = await under.restore('d/e/x', version?.version)
  assert.equal(restored.statusCode, 201, restored.body)
  assert.equal(restored.headers.location, '/files/d/e/x')
  assert.equal(restored.json().sha256, sha256('one'))
  assert.equal((await under.get('d/e/x')).body, 'one')
  assert.deepEqual(await under.list('d/e/x'), [])
  assert.equal((await under.get('d/?deleted')).json().entries.length, 1)
  const told = await under.subject.told()
  assert.deepEqual(types(told).slice(-3), ['FILE DELETED', 'FILE DELETED', 'FILE CREATED'])
  assert.equal(told.at(-1)?.origin, 'upload')
})

test('a restored version trades places with the present content', async () => {
  await using under = await Versions.open({ versions: { keep: 2 } })
  for (const content of ['one', 'two', 'three']) await under.put('x', content)
  const [, oldest] = await under.list('x')
  const restored = await under.restore('x', oldest?.version)
  assert.equal(restored.statusCode, 200, restored.body)
  assert.equal(restored.headers.etag, entityTagOf(sha256('one')))
  const got = await under.get('x')
  assert.deepEqual([got.body, got.headers.etag], ['one', entityTagOf(sha256('one'))])
  assert.deepEqual(await under.contents('x'), ['three', 'two'])
  assert.deepEqual(types(await under.subject.told()).slice(-1), ['FILE UPDATED'])
  assert.equal((await under.restore('x', oldest?.version)).statusCode, 404)
})

test('the restore of what is there already changes nothing', async () => {
  await using under = await Versions.open({ versions: {} })
  for (const content of ['one', 'two', 'one']) await under.put('x', content)
  const [, first] = await under.list('x')
  const restored = await under.restore('x', first?.version)
  assert.deepEqual([restored.statusCode, restored.json().position], [200, null])
  assert.deepEqual(await under.contents('x'), ['two', 'one'])
})

test('a restore holds conditions and needs the rights of an upload', async () => {
  await using under = await Versions.open({ versions: {} })
  await under.put('x', 'one')
  const put = await under.put('x', 'two')
  const [version] = await under.list('x')
  const id = version?.version
  assert.equal((await under.restore('x', id, { 'if-none-match': '*' })).statusCode, 412)
  under.grants = { list: ['**'], read: ['**'], create: ['**'] }
  assert.equal((await under.restore('x', id)).json().missing, 'replace')
  under.grants = { list: ['**'], read: ['**'] }
  assert.equal((await under.restore('x', id)).statusCode, 403)
  under.user = null
  assert.equal((await under.restore('x', id)).statusCode, 401)
  under.user = 'tester'
  under.grants = { replace: ['**'] }
  const ifMatch = { 'if-match': String(put.headers.etag) }
  assert.equal((await under.restore('x', id, ifMatch)).statusCode, 200)
})

test('versions are seen by who may list the path, and read by who may read it', async () => {
  await using under = await Versions.open({ versions: {}, undeleteMs: 1000 })
  for (const path of ['open/x', 'shut/x']) {
    await under.put(path, 'one')
    await under.put(path, 'two')
  }
  const [version] = await under.list('shut/x')
  await under.delete('open/x')
  await under.delete('shut/x')
  under.grants = { list: ['open/**'], read: ['shut/**'] }
  assert.equal((await under.get('open/x?versions')).statusCode, 200)
  assert.equal((await under.get('shut/x?versions')).statusCode, 404)
  assert.equal((await under.get(`shut/x?version=${version?.version}`)).body, 'one')
  assert.equal((await under.get(`open/x?version=${version?.version}`)).statusCode, 403)
  const names = ({ name }: { name: string }) => name
  assert.deepEqual((await under.get('?deleted')).json().entries.map(names), ['open/x'])
  assert.equal((await under.get('shut/?deleted')).statusCode, 404)
  under.user = null
  assert.equal((await under.get('shut/x?versions')).statusCode, 401)
  assert.equal((await under.get('shut/?deleted')).statusCode, 401)
})

test('a version of one path is none of another', async () => {
  await using under = await Versions.open({ versions: {} })
  await under.put('x', 'one')
  await under.put('x', 'two')
  await under.put('y', 'other')
  const [version] = await under.list('x')
  assert.equal((await under.get(`y?version=${version?.version}`)).statusCode, 404)
  assert.equal((await under.restore('y', version?.version)).statusCode, 404)
  assert.equal((await under.get('x?version=../../temp/x')).statusCode, 404)
})

test('a write that speaks of a version is refused, for it would be done to the present content', async () => {
  await using under = await Versions.open({ versions: {} })
  await under.put('x', 'one')
  const id = '00000000-0000-4000-8000-000000000000'
  const wrong = [
    ['PUT', `/files/x?restore=${id}`, undefined],
    ['PUT', `/files/x?version=${id}`, 'content'],
    ['POST', `/files/x?restore=${id}`, 'content'],
    ['POST', `/files/?restore=${id}`, undefined],
    ['DELETE', `/files/x?version=${id}`, undefined],
    ['DELETE', '/files/x?versions', undefined],
  ] as const
  for (const [method, url, payload] of wrong) {
    const refused = await under.app.inject({ method, url, ...(payload && { payload }) })
    assert.equal(refused.json().code, 'REQUEST_INVALID', `${method} ${url}`)
  }
  assert.equal((await under.get('x')).body, 'one')
})

test('what was written to a version by whoever had it open is not served as what it was', async () => {
  await using under = await Versions.open({ versions: {} })
  await under.put('x', 'one')
  await under.put('x', 'two')
  const [version] = await under.list('x')
  const [file = ''] = await under.files()
  const kept = join(under.subject.directory, 'data/state/volumes/default/versions', file)
  await writeFile(kept, 'forged')
  assert.equal((await under.get(`x?version=${version?.version}`)).statusCode, 404)
  assert.equal((await under.restore('x', version?.version)).statusCode, 404)
  assert.equal(await readFile(join(under.subject.files, 'x'), 'utf8'), 'two')
})

test('an edit in place of a restored file does not reach any version', async () => {
  await using under = await Versions.open({ versions: {} })
  for (const content of ['one', 'two']) await under.put('x', content)
  const [version] = await under.list('x')
  await under.restore('x', version?.version)
  await writeFile(join(under.subject.files, 'x'), 'edited')
  assert.deepEqual(await under.contents('x'), ['two'])
})

test('many writers of one path leave every content but the last as a version', async () => {
  await using under = await Versions.open({ versions: {} })
  const contents = Array.from({ length: 40 }, (_, i) => `content ${i}`)
  const answers = await Promise.all(contents.map((content) => under.put('x', content)))
  assert.ok(answers.every(({ statusCode }) => statusCode < 300))
  const present = (await under.get('x')).body
  const former = await under.contents('x')
  assert.equal(former.length, 39)
  assert.deepEqual([present, ...former].sort(), contents.toSorted())
  assert.equal((await under.files()).length, 39)
  const told = (await under.subject.told()).map((change) => change.sha256)
  assert.deepEqual(told.toReversed(), [present, ...former].map(sha256))
})

test('readers find the file while its content is linked away and replaced', async () => {
  await using under = await Versions.open({ versions: { keep: 5 } })
  await under.put('x', 'content 0')
  const seen = new Set<number>()
  let isDone = false
  const reader = async () => {
    while (!isDone) {
      const got = await under.get('x')
      seen.add(got.statusCode)
      assert.equal(got.headers.etag, entityTagOf(sha256(got.body)))
    }
  }
  const readers = [reader(), reader(), reader()]
  for (let i = 1; i < 60; i += 1) await under.put('x', `content ${i}`)
  isDone = true
  await Promise.all(readers)
  assert.deepEqual([...seen], [200])
})

test('of many that restore one version at the same time, all agree on what is there', async () => {
  await using under = await Versions.open({ versions: {} })
  for (const content of ['one', 'two']) await under.put('x', content)
  const [version] = await under.list('x')
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => under.restore('x', version?.version)),
  )
  assert.ok(answers.every(({ statusCode }) => statusCode === 200 || statusCode === 404))
  assert.ok(answers.some(({ statusCode }) => statusCode === 200))
  assert.equal((await under.get('x')).body, 'one')
  assert.deepEqual(await under.contents('x'), ['two'])
  assert.equal((await under.subject.store.find(pathOf('x')))?.sha256, sha256('one'))
})
