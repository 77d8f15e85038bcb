import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS, FilePolicy } from '../../src/files/file-policy.ts'
import { MemoryFileStore } from '../../src/files/store/memory-file-store.ts'
import { filesApp, formOf } from './support-http.ts'
import { MemoryTeller } from './support-index.ts'

const policy = new FilePolicy(DEFAULT_LIMITS, [
  { globs: ['releases/scratch/**'], conditional: false },
  { globs: ['releases/**'], conditional: true },
])

function open() {
  const app = filesApp(new MemoryFileStore(new MemoryTeller().tell), { policy })
  return { app, [Symbol.asyncDispose]: () => app.close() }
}

test('where conditions are required a write or delete without one is 428, and stores nothing', async () => {
  await using under = open()
  const { app } = under
  const url = '/files/releases/1.0'
  for (const method of ['PUT', 'POST'] as const) {
    const refused = await app.inject({ method, url, payload: 'x' })
    assert.equal(refused.statusCode, 428)
    assert.equal(refused.json().code, 'PRECONDITION_REQUIRED')
  }
  assert.equal((await app.inject(url)).statusCode, 404)
  const headers = { 'if-none-match': '*' }
  assert.equal((await app.inject({ method: 'PUT', url, payload: 'x', headers })).statusCode, 201)
  assert.equal((await app.inject({ method: 'DELETE', url })).statusCode, 428)
  const { etag } = (await app.inject(url)).headers
  const known = { 'if-match': String(etag) }
  const put = await app.inject({ method: 'PUT', url, payload: 'y', headers: known })
  assert.equal(put.statusCode, 200)
  const current = { 'if-match': String(put.headers.etag) }
  assert.equal((await app.inject({ method: 'DELETE', url, headers: current })).statusCode, 204)
})

test('a date is a condition of a write when it can be read and says since when', async () => {
  await using under = open()
  const put = async (headers: Record<string, string>) =>
    (await under.app.inject({ method: 'PUT', url: '/files/releases/d', payload: 'x', headers }))
      .statusCode
  const date = new Date().toUTCString()
  assert.equal(await put({ 'if-modified-since': date }), 428)
  assert.equal(await put({ 'if-unmodified-since': 'yesterday' }), 428)
  assert.equal(await put({ 'if-unmodified-since': date }), 201)
})

test('paths that no rule is about, or that a rule exempts, need none', async () => {
  await using under = open()
  for (const path of ['releases/scratch/x', 'builds/releases/x', 'releases']) {
    const url = `/files/${path === 'releases' ? 'other' : path}`
    assert.equal((await under.app.inject({ method: 'PUT', url, payload: 'x' })).statusCode, 201)
    assert.equal((await under.app.inject({ method: 'DELETE', url })).statusCode, 204)
  }
})

test('a form is held to it by its files, and a directory is deleted only without such files', async () => {
  await using under = open()
  const { app } = under
  const form = formOf([
    ['a', '1'],
    ['b', '2'],
  ])
  const post = (headers = {}) =>
    app.inject({
      method: 'POST',
      url: '/files/releases/',
      payload: form.payload,
      headers: { ...form.headers, ...headers },
    })
  assert.equal((await post()).statusCode, 428)
  assert.equal((await post({ 'if-none-match': '*' })).statusCode, 201)
  const remove = { method: 'DELETE', url: '/files/releases/?recursive' } as const
  assert.equal((await app.inject(remove)).statusCode, 428)
  assert.equal((await app.inject('/files/releases/')).json().entries.length, 2)
})
