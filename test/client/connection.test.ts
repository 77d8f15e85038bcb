import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionOf } from '../../src/client/connection.ts'

const { signal } = new AbortController()

test('a URL may have a path, and loses its trailing slashes, query and fragment', () => {
  for (const [url, baseUrl] of [
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['https://b.example/', 'https://b.example'],
    ['https://b.example/broker//?x=1#y', 'https://b.example/broker'],
  ] as const) {
    assert.equal(connectionOf({ url }, signal).baseUrl, baseUrl)
  }
})

test('a URL that is none of a broker is refused, one with a token too', () => {
  for (const url of ['', 'b.example', 'ftp://b.example', 'http://token:dbk_x@b.example']) {
    assert.throws(() => connectionOf({ url }, signal), { code: 'REQUEST_INVALID' })
  }
})

test('a token may be text, a function, a promise, or not there', async () => {
  const url = 'http://127.0.0.1:1'
  assert.equal(await connectionOf({ url }, signal).token(), undefined)
  assert.equal(await connectionOf({ url, token: 'a' }, signal).token(), 'a')
  assert.equal(await connectionOf({ url, token: () => 'b' }, signal).token(), 'b')
  assert.equal(await connectionOf({ url, token: async () => 'c' }, signal).token(), 'c')
})
