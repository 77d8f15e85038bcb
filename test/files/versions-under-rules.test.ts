import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ContentValidator } from '../../src/files/content-validator.ts'
import {
  DEFAULT_LIMITS,
  FilePolicy,
  type FileRule,
  type VolumeLimits,
} from '../../src/files/file-policy.ts'
import { Retention } from '../../src/files/history/retention.ts'
import type { VersionEntry } from '../../src/files/http/versions.ts'
import { pathOf } from '../contract/file-index.ts'
import { put, sha256 } from '../contract/file-store.ts'
import { EVERYTHING, filesApp, principalWith } from './support-http.ts'
import { type DiskStoreUnderTest, openDiskStore } from './support-store.ts'

/** Versions beside the other rules that a volume may have. */
class Ruled implements AsyncDisposable {
  readonly subject: DiskStoreUnderTest
  readonly app: ReturnType<typeof filesApp>
  user: string | null = 'ann'

  private constructor(subject: DiskStoreUnderTest) {
    const { history } = subject.store
    this.subject = subject
    this.app = filesApp(subject.store, {
      history,
      principal: () => principalWith(EVERYTHING, this.user),
    })
  }

  static async open(
    limits: Partial<VolumeLimits>,
    validators: readonly ContentValidator[] = [],
  ): Promise<Ruled> {
    const policy = policyOf({ versions: {} }, limits)
    const reconcile = () => Promise.resolve()
    return new Ruled(await openDiskStore({ policy, validators, reconcile }))
  }

  async put(user: string | null, content: string, path = 'x'): Promise<number> {
    this.user = user
    const put = await this.app.inject({ method: 'PUT', url: `/files/${path}`, payload: content })
    return put.statusCode
  }

  async delete(): Promise<number> {
    return (await this.app.inject({ method: 'DELETE', url: '/files/x' })).statusCode
  }

  async restore(user: string, id: string | undefined) {
    this.user = user
    return this.app.inject({ method: 'POST', url: `/files/x?restore=${id}` })
  }

  async list(): Promise<VersionEntry[]> {
    return (await this.app.inject({ url: '/files/x?versions' })).json().versions
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close()
    await this.subject[Symbol.asyncDispose]()
  }
}

function policyOf(rule: Omit<FileRule, 'globs'>, limits: Partial<VolumeLimits> = {}): FilePolicy {
  return new FilePolicy({ ...DEFAULT_LIMITS, freeBytes: 0, ...limits }, [
    { globs: ['**'], ...rule },
  ])
}

/** Refuses contents that begin with `bad`. */
const NOTHING_BAD: ContentValidator = {
  matches: () => true,
  async validate({ bytes }) {
    return (await bytes()).toString().startsWith('bad') ? [{ message: 'bad content' }] : []
  },
}

test('a version tells who uploaded it, whoever replaced or deleted it', async () => {
  await using under = await Ruled.open({})
  for (const user of ['ann', 'bob', null]) await under.put(user, `of ${user}`)
  under.user = 'eve'
  await under.delete()
  assert.deepEqual(
    (await under.list()).map(({ by }) => by),
    [null, 'bob', 'ann'],
  )
})

test('a restore is an upload of who restores, in the quota as in the index', async () => {
  await using under = await Ruled.open({ userQuotaBytes: 10 })
  const { usage } = under.subject.index
  await under.put('ann', 'a'.repeat(8))
  await under.put('bob', 'b'.repeat(6))
  assert.deepEqual([usage.bytesOf('ann'), usage.bytesOf('bob')], [0, 6])
  const [former] = await under.list()
  await under.put('bob', 'o'.repeat(4), 'other')
  const refused = await under.restore('bob', former?.version)
  assert.deepEqual([refused.statusCode, refused.json().quota], [507, 'user'])
  assert.equal((await under.restore('ann', former?.version)).statusCode, 200)
  assert.deepEqual([usage.totalBytes, usage.bytesOf('ann'), usage.bytesOf('bob')], [12, 8, 4])
  assert.equal((await under.subject.index.get(pathOf('x')))?.uploader, 'ann')
  assert.deepEqual(
    (await under.list()).map(({ by }) => by),
    ['bob'],
  )
})

test('a refused restore leaves the version, and holds nothing of the quota', async () => {
  await using under = await Ruled.open({ quotaBytes: 10 })
  await under.put('ann', 'a'.repeat(8))
  await under.delete()
  await put(under.subject.store, 'other', 'o'.repeat(4))
  const [former] = await under.list()
  for (let i = 0; i < 3; i += 1) {
    assert.equal((await under.restore('ann', former?.version)).statusCode, 507)
  }
  assert.equal((await under.list()).length, 1)
  await put(under.subject.store, 'rest', 'r'.repeat(6))
})

test('a restored content is judged, and its accepted copy kept', async () => {
  let isStrict = false
  const validator: ContentValidator = {
    matches: () => true,
    validate: async () => (isStrict ? [{ message: 'nothing is good enough' }] : []),
  }
  await using under = await Ruled.open({}, [validator])
  await under.put('ann', 'one')
  await under.put('ann', 'two')
  const [former] = await under.list()
  isStrict = true
  const refused = await under.restore('ann', former?.version)
  assert.equal(refused.json().code, 'CONTENT_INVALID')
  isStrict = false
  assert.equal((await under.restore('ann', former?.version)).statusCode, 200)
  await writeFile(join(under.subject.files, 'x'), 'edited')
  assert.equal((await under.app.inject({ url: '/files/x' })).body, 'one')
})

test('what was refused on disk becomes no version', async () => {
  await using under = await Ruled.open({}, [NOTHING_BAD])
  await under.put('ann', 'one')
  await writeFile(join(under.subject.files, 'x'), 'bad edit')
  assert.equal(await under.put('ann', 'two'), 200)
  assert.ok((await under.list()).every(({ etag }) => !etag.includes(sha256('bad edit'))))
  await writeFile(join(under.subject.files, 'x'), 'bad edit')
  assert.equal(await under.delete(), 204)
  const kept = join(under.subject.directory, 'data/state/volumes/default/versions')
  for (const name of await readdir(kept)) {
    assert.notEqual(await readFile(join(kept, name), 'utf8'), 'bad edit')
  }
})

test('retention leaves a file that is something else on disk than was accepted', async () => {
  const policy = policyOf({ retainMs: 1000 })
  await using subject = await openDiskStore({ policy, validators: [NOTHING_BAD] })
  const { store, index } = subject
  await put(store, 'x', 'one')
  await writeFile(join(subject.files, 'x'), 'bad edit')
  const now = () => Date.now() + 3_600_000
  const retention = new Retention({ store, index, policy, mayDelete: () => true, now })
  assert.equal(await retention.sweep(new AbortController().signal), 0)
  assert.equal(await readFile(join(subject.files, 'x'), 'utf8'), 'bad edit')
  await put(store, 'x', 'two')
  assert.equal(await retention.sweep(new AbortController().signal), 1)
})
