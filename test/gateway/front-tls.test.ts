import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import http2 from 'node:http2'
import https from 'node:https'
import { describe, it } from 'node:test'
import { makeCertificate, OPENSSL_MISSING } from '../support/certificate.ts'
import {
  answerOf,
  assertProblem,
  Front,
  SECRET,
  SPOOFED,
  temporaryDirectory,
} from '../support/front.ts'
import { freePort, NGINX_MISSING } from '../support/nginx.ts'

describe('HTTPS at the front', { skip: NGINX_MISSING || OPENSSL_MISSING }, () => {
  it('tells the broker of a client certificate that its authority made, and of no other', async () => {
    const keys = await temporaryDirectory()
    try {
      const ca = makeCertificate(keys, 'ca')
      const server = makeCertificate(keys, 'server', 'ca')
      const client = makeCertificate(keys, 'client', 'ca')
      const stranger = makeCertificate(keys, 'stranger')
      const port = await freePort()
      const tls = {
        listen: `127.0.0.1:${port}`,
        certificate: server.cert,
        key: server.key,
        clientCa: ca.cert,
      }
      await using front = await Front.start({ https: tls })
      const ask = async (identity: { cert: string; key: string } | undefined) => {
        const [cert, key] = identity === undefined ? [] : await readPair(identity)
        const request = https.request({
          port,
          agent: false,
          ca: await readFile(ca.cert),
          servername: 'localhost',
          headers: SPOOFED,
          ...(cert && key && { cert, key }),
        })
        return await answerOf(request.end())
      }
      assert.equal((await ask(undefined)).status, 200)
      assert.equal((await ask(client)).status, 200)
      assertProblem(await ask(stranger), 400, 'REQUEST_INVALID')
      const [anonymous, known, ...more] = front.stub.take()
      assert.deepEqual(more, [])
      assert.equal(anonymous?.headers['x-client-verify'], 'NONE')
      assert.equal(anonymous?.headers['x-client-cert'], undefined)
      assert.equal(anonymous?.headers['x-forwarded-proto'], 'https')
      assert.equal(known?.headers['x-client-verify'], 'SUCCESS')
      const seen = decodeURIComponent(String(known?.headers['x-client-cert']))
      const own = await readFile(client.cert)
      assert.equal(
        new X509Certificate(seen).fingerprint256,
        new X509Certificate(own).fingerprint256,
      )
    } finally {
      await rm(keys, { recursive: true })
    }
  })

  for (const plain of [undefined, 'beside it']) {
    const name = plain === undefined ? 'alone' : 'with plain HTTP beside it'
    it(`speaks HTTP/2, ${name}, with the same care`, async () => {
      const keys = await temporaryDirectory()
      try {
        const { cert, key } = makeCertificate(keys, 'server')
        const port = await freePort()
        const tls = { listen: `127.0.0.1:${port}`, certificate: cert, key, clientCa: undefined }
        await using front = await Front.start({
          https: tls,
          ...(plain === undefined && { http: undefined }),
        })
        const client = http2.connect(`https://localhost:${port}`, { ca: await readFile(cert) })
        const ask = async (headers: http2.OutgoingHttpHeaders, body?: Buffer) => {
          const stream = client.request(headers)
          stream.end(body)
          const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
          const chunks: Buffer[] = []
          for await (const chunk of stream) chunks.push(chunk)
          return { answer, body: Buffer.concat(chunks).toString() }
        }
        try {
          const { answer } = await ask({ ':path': '/livez', ...SPOOFED })
          assert.equal(answer[':status'], 200)
          const [seen] = front.stub.take()
          assert.equal(seen?.headers.host, `localhost:${port}`)
          assert.equal(seen?.headers['x-forwarded-proto'], 'https')
          assert.equal(seen?.headers['x-forwarded-for'], '127.0.0.1')
          assert.equal(seen?.headers['x-broker-proxy'], SECRET)
          const upload = { ':path': '/files/x', ':method': 'PUT' }
          assert.equal((await ask(upload, Buffer.alloc(2 ** 20))).body, String(2 ** 20))
          const refused = await ask({ ...upload, ':path': '/files/refuse/403' }, Buffer.alloc(1000))
          assert.equal(refused.answer[':status'], 403)
          const gone = await ask({ ':path': '/-/x' })
          assert.equal(gone.answer[':status'], 404)
          assert.equal(gone.answer['x-content-type-options'], 'nosniff')
          assert.equal(gone.answer['referrer-policy'], 'no-referrer')
          // A browser would hold the plain port to it too.
          const expected = plain === undefined ? 'max-age=31536000' : undefined
          for (const each of [answer, refused.answer, gone.answer]) {
            assert.equal(each['strict-transport-security'], expected)
          }
          const stream = client.request({ ':path': '/events/stream' })
          const [first] = await once(stream, 'data')
          assert.equal(String(first), 'data: first\n\n')
          stream.close()
        } finally {
          client.close()
        }
      } finally {
        await rm(keys, { recursive: true })
      }
    })
  }
})

async function readPair({ cert, key }: { cert: string; key: string }) {
  return [await readFile(cert), await readFile(key)] as const
}
