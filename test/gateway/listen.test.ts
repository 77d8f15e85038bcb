import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Fastify from 'fastify'
import { listen, originOf } from '../../src/gateway/listen.ts'

async function socketPath() {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  const path = join(directory, 'http.sock')
  return {
    path,
    settings: { listen: { kind: 'unix', path } as const },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  }
}

test('the socket that a killed process left behind is replaced', async () => {
  await using place = await socketPath()
  const script = 'require("net").createServer().listen(process.argv[1], () => console.log("up"))'
  const child = spawn(process.execPath, ['-e', script, place.path])
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.ok((await stat(place.path)).isSocket())
  await using app = Fastify()
  assert.equal(await listen(app, place.settings), `unix:${place.path}`)
  assert.equal((await stat(place.path)).mode & 0o777, 0o660)
})

test('the socket of a process that listens, and what is no socket, are left alone', async () => {
  await using place = await socketPath()
  const server = createServer().listen(place.path)
  await once(server, 'listening')
  await using app = Fastify()
  await assert.rejects(listen(app, place.settings), { code: 'EADDRINUSE' })
  assert.ok((await stat(place.path)).isSocket())
  server.close()
  await once(server, 'close')
  await writeFile(place.path, 'mine')
  await using other = Fastify()
  await assert.rejects(listen(other, place.settings), { code: 'EADDRINUSE' })
  assert.ok((await stat(place.path)).isFile())
})

test('the origin of what listens is a URL only where one leads there', async () => {
  await using place = await socketPath()
  await using onSocket = Fastify()
  assert.equal(originOf(onSocket), '')
  await listen(onSocket, place.settings)
  assert.equal(originOf(onSocket), '')
  const here = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses)
  for (const [host, origin] of [
    ['127.0.0.1', 'http://127.0.0.1:'],
    ['::1', 'http://[::1]:'],
    ['0.0.0.0', ''],
  ] as const) {
    // Not every machine has IPv6.
    if (host === '::1' && !here.some(({ address }) => address === host)) continue
    await using app = Fastify()
    await listen(app, { listen: { kind: 'tcp', host, port: 0 } })
    assert.equal(originOf(app).replace(/\d+$/, ''), origin)
  }
})
