import assert from 'node:assert/strict'
import { lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { BrokerBehindNginx } from '../support/broker-process.ts'
import { sha256, TOKENS, USERS_XML } from '../support/gateway.ts'
import { HealthyClient } from '../support/healthy-client.ts'
import { NGINX_MISSING } from '../support/nginx.ts'
import { exchange, statusesIn } from '../support/raw-http.ts'

/** What lies outside of every volume. */
const SECRET = 'ONLY-OUTSIDE'

/** May do everything with files, so that nothing but the reading of names stands in the way. */
const WALKER = 'dbk_walker-for-tests-0000000000000000000000'

/** Ways to write two dots that somebody somewhere takes for two dots. */
const DOTS = [
  '..',
  '%2e%2e',
  '%2E%2e',
  '.%2e',
  '%252e%252e',
  '%25252e%25252e',
  '%c0%ae%c0%ae',
  '%e0%80%ae%e0%80%ae',
  '%f0%80%80%ae%f0%80%80%ae',
  '%uff0e%uff0e',
  '%ef%bc%8e%ef%bc%8e',
  '\u00ef\u00bc\u008e\u00ef\u00bc\u008e',
  '..%00',
  '..;',
  '..%3b',
  '..%20',
  '..%09',
  '..%0d',
  '....',
]

/** The same of a slash. */
const SLASHES = [
  '/',
  '//',
  '/./',
  ';/',
  '%00/',
  '%2f',
  '%2F',
  '%5c',
  '\\',
  '%252f',
  '%255c',
  '%c0%af',
  '%e0%80%af',
  '%c1%9c',
  '%ef%bc%8f',
  '\u00ef\u00bc\u008f',
  '%u2215',
]

const DEPTHS = [1, 2, 4, 8]
const TARGETS = ['outside.txt', 'outside/new.txt', 'config/broker_users.xml', 'data/admin.token']
const PREFIXES = ['/files/', '/files/dir/', '//files/', '/%66iles/', '/files/./', '/-/serve/']
const METHODS = ['GET', 'PUT', 'GET', 'DELETE', 'GET', 'POST', 'HEAD']

interface Attempt {
  readonly method: string
  readonly target: string
}

/** Each way of the dots with each of the slashes, at each depth; the rest in turn. */
function attempts(): Attempt[] {
  const ways = DOTS.flatMap((dots) =>
    SLASHES.flatMap((slash) => DEPTHS.map((depth) => (dots + slash).repeat(depth))),
  )
  const pick = (from: readonly string[], at: number) => from[at % from.length] ?? ''
  return ways.map((way, at) => {
    const target = pick(TARGETS, at)
    const name = at % 3 === 0 ? target.replaceAll('/', pick(SLASHES, at)) : target
    // Mixed with what is plain, so that only a part of it is taken for what it is.
    const plain = at % 2 === 0 ? '../' : ''
    return { method: pick(METHODS, at), target: pick(PREFIXES, at) + way + plain + name }
  })
}

/** Names, contents and times of all that no request for a file may touch. */
async function outsideOf(directory: string): Promise<Record<string, string>> {
  const seen: Record<string, string> = {}
  for (const name of ['.', '..', 'config', 'data', 'outside']) {
    const names = await readdir(join(directory, name))
    if (name !== '..') seen[name] = names.sort().join()
    else seen[name] = String(names.includes('outside.txt') || names.includes('outside'))
  }
  for (const name of ['outside.txt', 'config/broker_users.xml', 'data/admin.token']) {
    const { ctimeNs } = await lstat(join(directory, name), { bigint: true })
    seen[name] = `${ctimeNs} ${sha256(await readFile(join(directory, name), 'utf8'))}`
  }
  return seen
}

test('thousands of ways to write a path reach nothing outside of a volume, nor the users file', {
  skip: NGINX_MISSING,
}, async (t) => {
  await using front = await BrokerBehindNginx.start('--connections-per-user=100')
  const { broker } = front
  const { directory } = broker
  await mkdir(join(directory, 'outside'))
  await writeFile(join(directory, 'outside.txt'), SECRET)
  const walker = `<role name="walker"><allow actions="list read create replace delete" files="**"/></role>
  <user name="walker" roles="walker"><token id="w" sha256="${sha256(WALKER)}"/></user>`
  const users = join(directory, 'config/broker_users.xml')
  await writeFile(
    users,
    USERS_XML.replace('<role name="public"/>', `$&${walker.split('\n')[0]}`).replace(
      '<anonymous',
      `${walker.split('\n')[1]}$&`,
    ),
  )
  const headers = { authorization: `Bearer ${WALKER}` }
  while (!(await fetch(`${front.url}/auth/me`, { headers })).ok) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  const admin = await broker.adminToken()
  const corpus = attempts()
  const before = await outsideOf(directory)
  const ports = [broker.port, Number(new URL(front.url).port)]
  assert.ok(corpus.length * ports.length >= 2000)
  const isUsed = new Set<number>()

  const attack = async ({ method, target }: Attempt, at: number, port: number) => {
    // In the volume of the users file the administrator tries, who may do anything but leave it.
    const isConfig = at % 5 === 0 && !method.startsWith('GET') && target.startsWith('/files/')
    const path = isConfig ? target.replace('/files/', '/files/config/') : target
    const answer = await exchange(
      port,
      `${method} ${path} HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n` +
        `Authorization: Bearer ${isConfig ? admin : WALKER}\r\nContent-Length: 4\r\n\r\nevil`,
    )
    const where = `${method} ${path} at ${port}`
    for (const status of statusesIn(answer)) {
      isUsed.add(status)
      assert.ok(status < 500, `${where}: ${answer}`)
    }
    assert.notEqual(answer, '', where)
    for (const word of [SECRET, admin, 'broker-users', 'root:']) {
      assert.ok(!answer.includes(word), `${where} shows ${word}`)
    }
  }

  await new HealthyClient(ports, TOKENS.jenkins).during(t, async () => {
    for (let at = 0; at < corpus.length; at += 25) {
      const batch = corpus.slice(at, at + 25)
      await Promise.all(ports.flatMap((port) => batch.map((each, i) => attack(each, at + i, port))))
    }
  })
  assert.deepEqual(await outsideOf(directory), before)
  // A corpus that is refused for one reason alone would show nothing.
  for (const status of [201, 400, 404]) assert.ok(isUsed.has(status), `${status} never came`)
})
