import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import https from 'node:https'
import { describe, it } from 'node:test'
import { makeCertificate, OPENSSL_MISSING } from '../support/certificate.ts'
import { answerOf, assertProblem, Front, SPOOFED, temporaryDirectory } from '../support/front.ts'
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
})

async function readPair({ cert, key }: { cert: string; key: string }) {
  return [await readFile(cert), await readFile(key)] as const
}
