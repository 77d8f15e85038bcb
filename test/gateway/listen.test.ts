import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Fastify from 'fastify'
import { listen } from '../../src/gateway/listen.ts'

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
