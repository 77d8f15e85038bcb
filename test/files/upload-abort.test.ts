import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readlink } from 'node:fs/promises'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { FileStore } from '../../src/files/store/file-store.ts'
import { put } from '../contract/file-store.ts'
import { filesApp } from './support-http.ts'
import { type DiskStoreUnderTest, openDiskStore } from './support-store.ts'

interface Listening extends AsyncDisposable {
  readonly subject: DiskStoreUnderTest
  connect(): Promise<Socket>
  /** Resolves when the store is done with a body, however it ended. */
  bodyEnded(): Promise<void>
}

async function listen(): Promise<Listening> {
  const subject = await openDiskStore()
  let ended = Promise.withResolvers<void>()
  const store: FileStore = new Proxy(subject.store, {
    get(target, key: keyof FileStore) {
      if (key !== 'stage') return target[key].bind(target)
      return async (...request: Parameters<FileStore['stage']>) => {
        try {
          return await target.stage(...request)
        } finally {
          ended.resolve()
        }
      }
    },
  })
  const app: FastifyInstance = filesApp(store)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return {
    subject,
    async connect() {
      ended = Promise.withResolvers()
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      return socket
    },
    bodyEnded: () => ended.promise,
    async [Symbol.asyncDispose]() {
      await app.close()
      await subject[Symbol.asyncDispose]()
    },
  }
}

const HEADS = {
  'a body of known length': 'PUT /files/d/x HTTP/1.1\r\nHost: b\r\nContent-Length: 900000\r\n\r\n',
  'a chunked body':
    'PUT /files/d/x HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\nFFFFF\r\n',
  'a form':
    'POST /files/d/ HTTP/1.1\r\nHost: b\r\nContent-Length: 900000\r\n' +
    'Content-Type: multipart/form-data; boundary=B\r\n\r\n' +
    '--B\r\nContent-Disposition: form-data; name="f"; filename="one"\r\n\r\nwhole\r\n' +
    '--B\r\nContent-Disposition: form-data; name="f"; filename="two"\r\n\r\n',
}

for (const [name, head] of Object.entries(HEADS)) {
  for (const sent of [1, 70_000, 600_000]) {
    test(`${name} that breaks off after ${sent} bytes leaves nothing`, async () => {
      await using server = await listen()
      const socket = await server.connect()
      socket.write(head)
      await new Promise((resolve) => socket.write(Buffer.alloc(sent, 'x'), resolve))
      socket.resetAndDestroy()
      await server.bodyEnded()
      if (name === 'a form') await formEnded(server)
      assert.deepEqual(await server.subject.leftovers(), [])
      assert.deepEqual(await readdir(server.subject.files), ['.broker-volume'])
      assert.deepEqual(await server.subject.told(), [])
    })
  }
}

/** The first file of the form ends before the second breaks off. */
async function formEnded({ subject }: Listening): Promise<void> {
  while ((await subject.leftovers()).length > 0) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('a refused upload is answered while its body still comes, and the connection goes on', async () => {
  await using server = await listen()
  const socket = await server.connect()
  const answers: string[] = []
  socket.on('data', (chunk) => answers.push(chunk.toString()))
  socket.write(
    'PUT /files/d/x HTTP/1.1\r\nHost: b\r\nIf-Match: "x"\r\nContent-Length: 900000\r\n\r\n',
  )
  await once(socket, 'data')
  assert.match(answers.join(''), /^HTTP\/1.1 412 /)
  answers.length = 0
  socket.write(Buffer.alloc(900_000))
  socket.write('GET /files/ HTTP/1.1\r\nHost: b\r\n\r\n')
  await once(socket, 'data')
  assert.match(answers.join(''), /HTTP\/1.1 200 /)
  socket.destroy()
})

test('a download that breaks off leaves no file open', async () => {
  await using server = await listen()
  await put(server.subject.store, 'large', Buffer.alloc(20_000_000))
  // The garbage collector closes forgotten files too, and warns.
  const warnings: Error[] = []
  const warn = (warning: Error) => warnings.push(warning)
  process.on('warning', warn)
  for (const headers of ['', 'Range: bytes=0-9999999,10000000-\r\n']) {
    const socket = await server.connect()
    socket.write(`GET /files/large HTTP/1.1\r\nHost: b\r\n${headers}\r\n`)
    await once(socket, 'data')
    assert.equal(await countOpen('large'), 1)
    socket.resetAndDestroy()
    while ((await countOpen('large')) > 0) await new Promise((resolve) => setImmediate(resolve))
  }
  process.off('warning', warn)
  assert.deepEqual(warnings, [])
})

/** How many descriptors of this process lead to a file of that name. */
async function countOpen(name: string): Promise<number> {
  let count = 0
  for (const descriptor of await readdir('/proc/self/fd')) {
    const target = await readlink(`/proc/self/fd/${descriptor}`).catch(() => '')
    if (target.endsWith(`/${name}`)) count += 1
  }
  return count
}
