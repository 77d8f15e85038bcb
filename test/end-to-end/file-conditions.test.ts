import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { BrokerBehindNginx } from '../support/broker-process.ts'
import { NGINX_MISSING } from '../support/nginx.ts'

/** RFC 9110 section 13 as clients see it, with and without Nginx: every field with every other. */

interface Option {
  /** Undefined where the field is left out. */
  readonly value: string | undefined
  /** Whether the condition holds; undefined for one that is not there or has to be ignored. */
  readonly holds: boolean | undefined
}

const NONE: Option = { value: undefined, holds: undefined }
const MALFORMED: Option = { value: 'Mon, 31 Feb 2020 00:00:00 GMT', holds: undefined }

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

const agent = new Agent({ keepAlive: true, maxSockets: 16 })

let front: BrokerBehindNginx
let token: string

function ask(
  url: string,
  method: string,
  path: string,
  fields: Readonly<Record<string, string | undefined>> = {},
  body = 'content',
): Promise<Answer> {
  const stated = Object.entries(fields).filter(([, value]) => value !== undefined)
  const headers = { 'x-broker-token': token, ...Object.fromEntries(stated) }
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const sent = request(`${url}/files/${path}`, { method, headers, agent })
  sent.on('error', reject).on('response', (response: IncomingMessage) => {
    response.on('error', reject).on('end', () => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers })
    })
    response.resume()
  })
  if (method === 'PUT' || method === 'POST') sent.end(body)
  else sent.end()
  return promise
}

/** Several at a time, each with a turn of its own. */
async function forEach<Case>(cases: readonly Case[], check: (each: Case) => Promise<void>) {
  const rest = cases.values()
  const worker = async () => {
    for (const each of rest) await check(each)
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}

function tagOptions(etag: string) {
  const ifMatch: Option[] = [
    NONE,
    { value: etag, holds: true },
    { value: '*', holds: true },
    { value: `"x",, ${etag}`, holds: true },
    { value: '"x"', holds: false },
    { value: `W/${etag}`, holds: false },
  ]
  const ifNoneMatch: Option[] = [
    NONE,
    { value: etag, holds: false },
    { value: '*', holds: false },
    { value: `W/"x", W/${etag}`, holds: false },
    { value: '"x", W/"y"', holds: true },
  ]
  return { ifMatch, ifNoneMatch }
}

/** @param holds - for a date before, at and after the one of the file */
function dateOptions(modified: string, holds: readonly [boolean, boolean, boolean]): Option[] {
  const at = (seconds: number) => new Date(Date.parse(modified) + seconds * 1000)
  return [
    NONE,
    MALFORMED,
    { value: at(-1).toUTCString(), holds: holds[0] },
    { value: at(0).toUTCString(), holds: holds[1] },
    { value: asctime(at(0)), holds: holds[1] },
    { value: at(3600).toUTCString(), holds: holds[2] },
  ]
}

/** The oldest form of a date. */
function asctime(date: Date): string {
  const [day = '', dd = '', month = '', year = '', time = ''] = date.toUTCString().split(' ')
  return `${day.slice(0, 3)} ${month} ${dd.replace(/^0/, ' ')} ${time} ${year}`
}

/** Section 13.2.2, steps 1 to 4. */
function precedence(
  reads: boolean,
  ifMatch: Option,
  ifUnmodifiedSince: Option,
  ifNoneMatch: Option,
  ifModifiedSince: Option,
): 412 | 304 | 'proceed' {
  const first = ifMatch.value === undefined ? ifUnmodifiedSince : ifMatch
  if (first.holds === false) return 412
  if (ifNoneMatch.value !== undefined) {
    if (ifNoneMatch.holds === true) return 'proceed'
    return reads ? 304 : 412
  }
  return reads && ifModifiedSince.holds === false ? 304 : 'proceed'
}

function product(...options: readonly (readonly Option[])[]): readonly (readonly Option[])[] {
  return options.reduce<readonly (readonly Option[])[]>(
    (rows, column) => rows.flatMap((row) => column.map((option) => [...row, option])),
    [[]],
  )
}

function fieldsOf([ifMatch, ifUnmodifiedSince, ifNoneMatch, ifModifiedSince]: readonly Option[]) {
  return {
    'if-match': ifMatch?.value,
    'if-unmodified-since': ifUnmodifiedSince?.value,
    'if-none-match': ifNoneMatch?.value,
    'if-modified-since': ifModifiedSince?.value,
  }
}

for (const through of ['the broker', 'Nginx'] as const) {
  describe(`conditional requests, asked of ${through}`, { skip: NGINX_MISSING }, () => {
    const at = () => (through === 'Nginx' ? front.url : front.broker.url)
    const directory = through === 'Nginx' ? 'nginx' : 'broker'
    let etag: string
    let modified: string

    before(async () => {
      front ??= await BrokerBehindNginx.start('--settle=60s')
      token = await front.broker.adminToken()
      const put = await ask(at(), 'PUT', `${directory}/file`)
      assert.equal(put.status, 201)
      etag = String(put.headers.etag)
      modified = String(put.headers['last-modified'])
    })

    after(async () => {
      if (through === 'Nginx') await front[Symbol.asyncDispose]()
    })

    async function check(
      method: string,
      path: string,
      fields: Readonly<Record<string, string | undefined>>,
      expected: number,
    ): Promise<Answer> {
      const answer = await ask(at(), method, path, fields)
      assert.equal(answer.status, expected, `${method} ${path} ${JSON.stringify(fields)}`)
      return answer
    }

    it('of reads are judged in the order of section 13.2.2', async () => {
      const { ifMatch, ifNoneMatch } = tagOptions(etag)
      const unmodified = dateOptions(modified, [false, true, true])
      const isModified = dateOptions(modified, [true, false, false])
      await forEach(product(ifMatch, unmodified, ifNoneMatch, isModified), async (row) => {
        const [a = NONE, b = NONE, c = NONE, d = NONE] = row
        const outcome = precedence(true, a, b, c, d)
        const expected = outcome === 'proceed' ? 200 : outcome
        const got = await check('GET', `${directory}/file`, fieldsOf(row), expected)
        if (expected !== 412) assert.equal(got.headers.etag, etag)
        await check('HEAD', `${directory}/file`, fieldsOf(row), expected)
      })
    })

    it('of writes are judged in the same order, and a date of change is none', async () => {
      const { ifMatch, ifNoneMatch } = tagOptions(etag)
      const unmodified = dateOptions(modified, [false, true, true])
      const ignored = [NONE, { value: modified, holds: false }]
      const rows = product(ifMatch, unmodified, ifNoneMatch, ignored)
      await forEach(rows, async (row) => {
        const [a = NONE, b = NONE, c = NONE, d = NONE] = row
        const outcome = precedence(false, a, b, c, d)
        // The same content again changes nothing of what the other rows ask about.
        const expected = outcome === 'proceed' ? 200 : outcome
        const method = rows.indexOf(row) % 2 === 0 ? 'PUT' : 'POST'
        await check(method, `${directory}/file`, fieldsOf(row), expected)
      })
    })

    it('of deletes are judged in the same order', async () => {
      const { ifMatch, ifNoneMatch } = tagOptions(etag)
      const rows = product(ifMatch, dateOptions(modified, [false, true, true]), ifNoneMatch)
      await forEach(rows, async (row) => {
        const path = `${directory}/deletes/${rows.indexOf(row)}`
        assert.equal((await ask(at(), 'PUT', path)).status, 201)
        // All within an hour; what matters is which side of the file's own date a date is on.
        const [a = NONE, b = NONE, c = NONE] = row
        const outcome = precedence(false, a, rowDate(b), c, NONE)
        const expected = outcome === 'proceed' ? 204 : outcome
        await check('DELETE', path, fieldsOf([a, rowDate(b), c, NONE]), expected)
      })
    })

    /** Dates about the first file, for one that was written later. */
    function rowDate(option: Option): Option {
      const offsets = { false: -3_600_000, true: 3_600_000 }
      if (option.holds === undefined) return option
      return { ...option, value: new Date(Date.now() + offsets[`${option.holds}`]).toUTCString() }
    }

    it('on a file that is not there fail where they ask for one, and create where not', async () => {
      const path = `${directory}/missing`
      const date = new Date(0).toUTCString()
      for (const value of [etag, '*', `W/${etag}`]) {
        // S3 servers created it; and RFC 9110 lets a missing file be told before any condition.
        for (const method of ['PUT', 'POST']) await check(method, path, { 'if-match': value }, 412)
        for (const method of ['GET', 'HEAD', 'DELETE']) {
          await check(method, path, { 'if-match': value }, 404)
        }
      }
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        await check(method, path, { 'if-none-match': '*' }, 404)
        await check(method, path, { 'if-unmodified-since': date }, 404)
      }
      const creating = [
        { 'if-none-match': '*' },
        { 'if-none-match': etag },
        { 'if-unmodified-since': date },
        { 'if-modified-since': modified },
      ]
      for (const fields of creating) {
        for (const method of ['PUT', 'POST']) {
          await check(method, path, fields, 201)
          await check('DELETE', path, {}, 204)
        }
      }
    })

    it('by tag fail on a file whose content is not known yet; by date they do not', async () => {
      const volume = join(front.broker.directory, 'data/files', directory)
      await mkdir(volume, { recursive: true })
      await writeFile(join(volume, 'unhashed'), 'written on disk')
      const path = `${directory}/unhashed`
      const plain = await check('GET', path, {}, 200)
      assert.equal(plain.headers.etag, undefined)
      for (const [name, value] of [
        ['if-match', '*'],
        ['if-match', etag],
        ['if-none-match', '*'],
        ['if-none-match', '"x"'],
      ] as const) {
        for (const method of ['GET', 'HEAD', 'PUT', 'POST']) {
          await check(method, path, { [name]: value }, 412)
        }
      }
      const written = String(plain.headers['last-modified'])
      await check('GET', path, { 'if-modified-since': written }, 304)
      await check('GET', path, { 'if-unmodified-since': written }, 200)
      await check('GET', path, { 'if-unmodified-since': new Date(0).toUTCString() }, 412)
      const part = { range: 'bytes=0-1', 'if-range': written }
      await check('GET', path, part, 200)
    })

    it('by If-Range decide whether a range counts, after all others', async () => {
      const range = 'bytes=1-3'
      const [, , earlier = NONE, same = NONE, old = NONE, later = NONE] = dateOptions(modified, [
        false,
        true,
        false,
      ])
      const rows: readonly (readonly [string | undefined, 206 | 200])[] = [
        [undefined, 206],
        [etag, 206],
        [`W/${etag}`, 200],
        ['"x"', 200],
        [same.value, 206],
        [old.value, 206],
        [earlier.value, 200],
        [later.value, 200],
        [MALFORMED.value, 200],
        ['*', 200],
      ]
      const path = `${directory}/file`
      for (const [ifRange, expected] of rows) {
        const fields = { range, 'if-range': ifRange }
        const part = await check('GET', path, fields, expected)
        assert.equal(part.headers['content-length'], expected === 206 ? '3' : '7')
        const beyond = { range: 'bytes=100-', 'if-range': ifRange }
        await check('GET', path, beyond, expected === 206 ? 416 : 200)
        await check('GET', path, { ...fields, 'if-none-match': etag }, 304)
        await check('GET', path, { ...fields, 'if-match': '"x"' }, 412)
        await check('GET', path, { ...fields, 'if-match': etag }, expected)
        await check('GET', path, { ...fields, 'if-unmodified-since': modified }, expected)
      }
    })

    it('that cannot be read are 400 rather than ignored', async () => {
      for (const value of ['x', '"a', '*, "a"', `${etag} "x"`]) {
        for (const name of ['if-match', 'if-none-match']) {
          for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE']) {
            await check(method, `${directory}/file`, { [name]: value }, 400)
          }
        }
      }
    })

    it('to create let exactly one of many writers do it', async () => {
      for (const method of ['PUT', 'POST']) {
        const path = `${directory}/race-${method}`
        const fields = { 'if-none-match': '*' }
        const answers = await Promise.all(
          Array.from({ length: 32 }, (_, i) => ask(at(), method, path, fields, `writer ${i}`)),
        )
        const statuses = answers.map(({ status }) => status).sort()
        assert.deepEqual(statuses, [201, ...Array.from({ length: 31 }, () => 412)])
        const { etag: winner } = answers.find(({ status }) => status === 201)?.headers ?? {}
        assert.equal((await ask(at(), 'GET', path)).headers.etag, winner)
      }
    })

    it('to replace let exactly one of many writers do it', async () => {
      const path = `${directory}/swap`
      const first = await ask(at(), 'PUT', path)
      const fields = { 'if-match': String(first.headers.etag) }
      const answers = await Promise.all(
        Array.from({ length: 32 }, (_, i) => ask(at(), 'PUT', path, fields, `writer ${i}`)),
      )
      assert.equal(answers.filter(({ status }) => status === 200).length, 1)
      assert.equal(answers.filter(({ status }) => status === 412).length, 31)
    })
  })
}
