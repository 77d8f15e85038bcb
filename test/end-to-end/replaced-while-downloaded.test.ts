import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { BrokerBehindNginx } from '../support/broker-process.ts'
import { NGINX_MISSING } from '../support/nginx.ts'

/** A file is replaced again and again while others download it: nobody sees two contents in one. */

const PUTS = 100
/** How many contents every reader must have met before the writer may stop. */
const MET = 10
/** On both sides of what is sent at once, read whole, hashed in place and written in one block. */
const SIZES = [1, 1000, 60_000, 70_000, 300_000, 1_500_000]

let front: BrokerBehindNginx
let authorization: string

before(async () => {
  if (NGINX_MISSING !== false) return
  front = await BrokerBehindNginx.start()
  authorization = `Bearer ${await front.broker.adminToken()}`
})

after(() => front?.[Symbol.asyncDispose]())

interface Part {
  readonly status: number
  readonly etag: string
  readonly reprDigest: string
  readonly body: Buffer
}

async function get(url: string, fields: Record<string, string> = {}): Promise<Part> {
  const response = await fetch(url, { headers: { authorization, ...fields } })
  return {
    status: response.status,
    etag: response.headers.get('etag') ?? '',
    reprDigest: response.headers.get('repr-digest') ?? '',
    body: Buffer.from(await response.arrayBuffer()),
  }
}

/** A download of the whole. */
async function whole(url: string): Promise<Part> {
  const part = await get(url)
  assert.equal(part.status, 200, part.body.toString())
  return part
}

/** A download that was broken off and is gone on with, as long as it is the same content. */
async function inTwo(url: string): Promise<Part> {
  const first = await get(url, { range: 'bytes=0-499' })
  assert.equal(first.status, 206, first.body.toString())
  // Also of a content of 500 bytes at most: the rest of it is none, and that of its successor is refused.
  const rest = await get(url, { range: 'bytes=500-', 'if-range': first.etag })
  if (rest.status === 416) {
    assert.ok(first.body.length <= 500)
    return first
  }
  if (rest.status === 200) return rest
  assert.equal(rest.status, 206, rest.body.toString())
  assert.equal(rest.etag, first.etag)
  return { ...rest, body: Buffer.concat([first.body, rest.body]) }
}

function assertWhole({ etag, reprDigest, body }: Part): void {
  const digest = createHash('sha256').update(body).digest()
  assert.equal(etag, `"sha256-${digest.toString('base64url')}"`)
  assert.equal(reprDigest, `sha-256=:${digest.toString('base64')}:`)
}

for (const door of ['the broker', 'Nginx']) {
  test(`${door} mixes no contents and gives none the tag of another`, {
    skip: NGINX_MISSING,
  }, async () => {
    const url = `${door === 'Nginx' ? front.url : front.broker.url}/files/builds/latest.bin`
    const put = async (size: number) => {
      const body = randomBytes(size)
      const response = await fetch(url, { method: 'PUT', headers: { authorization }, body })
      assert.ok(response.ok, await response.text())
    }
    await put(1000)
    let isWriting = true
    const met = [whole, whole, inTwo].map((download) => ({ download, tags: new Set<string>() }))
    const write = async () => {
      try {
        for (let i = 0; i < PUTS || met.some(({ tags }) => tags.size < MET); i += 1) {
          await put(SIZES[i % SIZES.length] ?? 0)
        }
      } finally {
        isWriting = false
      }
    }
    const read = async ({ download, tags }: (typeof met)[number]) => {
      while (isWriting) {
        const part = await download(url)
        assertWhole(part)
        tags.add(part.etag)
      }
    }
    await Promise.all([write(), ...met.map(read)])
  })
}
