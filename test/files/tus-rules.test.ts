import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { FilePolicyText } from '../support/file-policy.ts'
import { startGateway } from '../support/gateway.ts'
import { askToCreate, create, send, TUS } from '../support/tus.ts'

/** A broker whose file policy is as given. */
async function start(policy: object) {
  await using cleanup = new AsyncDisposableStack()
  const text = cleanup.use(await FilePolicyText.write())
  await writeFile(text.file, JSON.stringify(policy))
  const broker = cleanup.use(await startGateway({ filePolicy: text.file }))
  const owned = cleanup.move()
  return { broker, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function codeOf(answer: Response): Promise<unknown> {
  return ((await answer.json()) as { readonly code: unknown }).code
}

test('what would be more than the quota is refused when it is created, and room is held', async () => {
  await using under = await start({ userQuota: '8B' })
  const { broker } = under
  const as = 'jenkins'
  const huge = await askToCreate(broker, 'builds/jenkins/x', 9, { as })
  assert.deepEqual([huge.status, await codeOf(huge)], [507, 'QUOTA_EXCEEDED'])
  const url = await create(broker, 'builds/jenkins/x', 6, { as })
  const put = { method: 'PUT', as, body: '12345' } as const
  assert.equal((await broker.request('/files/builds/jenkins/y', put)).status, 507)
  await broker.request(url, { as, method: 'DELETE', headers: TUS })
  assert.equal((await broker.request('/files/builds/jenkins/y', put)).status, 201)
})

test('what cannot fit on the disk is refused when it is created', async () => {
  await using under = await start({ freeSpace: '1B' })
  const huge = await askToCreate(under.broker, 'huge', 2 ** 52)
  assert.deepEqual([huge.status, await codeOf(huge)], [507, 'STORAGE_FULL'])
})

test('a path whose writes need a condition needs it at the creation, and it holds at the end', async () => {
  await using under = await start({ rules: [{ paths: 'x', conditional: true }] })
  const { broker } = under
  const bare = await askToCreate(broker, 'x', 1)
  assert.deepEqual([bare.status, await codeOf(bare)], [428, 'PRECONDITION_REQUIRED'])
  const headers = { 'if-none-match': '*' }
  const url = await create(broker, 'x', 1, { headers })
  await broker.request('/files/x', { method: 'PUT', as: 'admin', body: 'first', headers })
  assert.equal((await send(broker, url, 0, '1')).status, 412)
})

test('a whole upload is judged, and what it replaces becomes a version', async () => {
  const rules = [{ paths: '**', versions: {}, content: { schema: 'schema.json' } }]
  await using text = await FilePolicyText.write(...rules)
  await writeFile(text.file.replace('policy.json', 'schema.json'), '{"type": "integer"}')
  await using broker = await startGateway({ filePolicy: text.file })
  const upload = async (content: string) => {
    const url = await create(broker, 'x.json', content.length)
    await send(broker, url, 0, content.slice(0, 1))
    return send(broker, url, 1, content.slice(1))
  }
  assert.equal((await upload('12')).status, 204)
  assert.equal(await codeOf(await upload('"no"')), 'CONTENT_INVALID')
  assert.equal((await upload('34')).status, 204)
  const listed = await broker.request('/files/x.json?versions', { as: 'admin' })
  const { versions } = (await listed.json()) as { versions: { by: string; version: string }[] }
  assert.deepEqual(
    versions.map(({ by }) => by),
    ['admin'],
  )
  const restored = await broker.request(`/files/x.json?restore=${versions[0]?.version}`, {
    as: 'admin',
    method: 'POST',
  })
  assert.equal(restored.status, 200)
  assert.equal(await (await broker.request('/files/x.json', { as: 'admin' })).text(), '12')
})
