import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { writeFront } from '../../src/gateway/front/front.ts'
import { type Directive, findDirectives, parseDump } from '../../src/gateway/front/front-dump.ts'
import type { FrontOptions } from '../../src/gateway/front/front-options.ts'
import { nginxVersion } from '../../src/gateway/front/running-nginx.ts'
import { makeCertificate, OPENSSL_MISSING } from '../support/certificate.ts'
import { Front, optionsFor, SECRET, temporaryDirectory } from '../support/front.ts'
import { freePort, NGINX_MISSING, runNginx } from '../support/nginx.ts'

const NOBODY = 65_534
const IS_ROOT = process.getuid?.() === 0

describe('the configuration of the front', { skip: NGINX_MISSING }, () => {
  const shipped = fileURLToPath(new URL('../../nginx', import.meta.url))

  /** The effective configuration for `change`, as Nginx itself prints it. */
  async function dump(change: Partial<FrontOptions>): Promise<readonly Directive[]> {
    const dir = await temporaryDirectory()
    try {
      const options = optionsFor(dir, '127.0.0.1:8080', await freePort())
      await writeFront(dir, { ...options, nginxVersion: await nginxVersion(), ...change })
      const { status, stdout, stderr } = runNginx('-T', dir)
      assert.equal(status, 0, stderr)
      assert.doesNotMatch(stderr, /\[(warn|error|alert)\]/)
      return parseDump(stdout)
    } finally {
      await rm(dir, { recursive: true })
    }
  }

  it('passes the test of Nginx in every form', { skip: OPENSSL_MISSING }, async () => {
    const keys = await temporaryDirectory()
    try {
      const { cert, key } = makeCertificate(keys, 'any')
      const listen = `127.0.0.1:${await freePort()}`
      const zmq = [{ listen: `127.0.0.1:${await freePort()}`, upstream: '127.0.0.1:5556' }]
      const tls = { listen, certificate: cert, key, clientCa: undefined }
      const forms: readonly Partial<FrontOptions>[] = [
        {},
        { zmq },
        { https: tls, http: undefined },
        { https: { ...tls, clientCa: cert }, zmq },
        { upstream: 'unix:/run/broker/http.sock', secret: '' },
        { maxFileBytes: 5 * 2 ** 30, maxEventBytes: 16 * 2 ** 20 },
        { volumes: '/srv/with space/volumes', publicUrl: 'https://broker.example' },
        ...(IS_ROOT ? [{ user: 'nobody nogroup' }] : []),
      ]
      for (const form of forms) await dump(form)
    } finally {
      await rm(keys, { recursive: true })
    }
  })

  it('passes as shipped, from the directory above', async () => {
    const root = await temporaryDirectory()
    try {
      await cp(shipped, join(root, 'nginx'), {
        recursive: true,
        filter: (source) => !source.includes('/run/'),
      })
      const { status, stderr } = runNginx('-t', 'nginx', { cwd: root })
      assert.equal(status, 0, stderr)
    } finally {
      await rm(root, { recursive: true })
    }
  })

  it('sets every identity header in every location that passes requests on', async () => {
    const directives = await dump({})
    const passes = findDirectives(directives, 'proxy_pass')
    assert.ok(passes.length >= 7)
    const expected: Readonly<Record<string, string>> = {
      Host: '$broker_host',
      Forwarded: '',
      'X-Forwarded-For': '$remote_addr',
      'X-Forwarded-Proto': '$scheme',
      'X-Forwarded-Host': '$broker_host',
      'X-Client-Verify': '$ssl_client_verify',
      'X-Client-Cert': '$ssl_client_escaped_cert',
      'X-Broker-Proxy': SECRET,
      'X-Request-Id': '$request_id',
      'X-Original-Method': '',
      'X-Original-URI': '',
      'X-Original-Length': '',
    }
    for (const { directive, within } of passes) {
      const location = within.at(-1)
      assert.equal(location?.name, 'location')
      const place = location?.args.join(' ') ?? ''
      const isAsk = place === '= /-/upload'
      assert.deepEqual(directive.args, [isAsk ? 'http://broker/auth/upload' : 'http://broker'])
      const set = new Map<string, string[]>()
      for (const { name, args } of location?.block ?? []) {
        const [header = '', value = ''] = args
        if (name === 'proxy_set_header') set.set(header, [...(set.get(header) ?? []), value])
      }
      for (const [header, value] of Object.entries(expected)) {
        const more = isAsk
          ? {
              'X-Original-Method': '$request_method',
              'X-Original-URI': '$request_uri',
              'X-Original-Length': '$content_length',
            }
          : {}
        const values = [
          value,
          ...Object.entries(more).flatMap(([name, v]) => (name === header ? v : [])),
        ]
        assert.deepEqual(set.get(header), values, `${header} in location ${place}`)
      }
      const isStream = place === '= /ws' || place === '/events'
      assert.deepEqual(set.get('Upgrade'), isStream ? ['$broker_upgrade'] : undefined, place)
      assert.deepEqual(set.get('Connection'), [isStream ? '$broker_connection' : ''], place)
    }
  })

  it('neither buffers a stream nor ends a quiet one', async () => {
    const directives = await dump({})
    const argumentOf = (place: string, name: string) =>
      findDirectives(directives, name).find(({ within }) => within.at(-1)?.args.join(' ') === place)
        ?.directive.args[0]
    assert.equal(argumentOf('/events', 'proxy_buffering'), 'off')
    assert.equal(argumentOf('/events', 'proxy_read_timeout'), '24h')
    assert.equal(argumentOf('= /ws', 'proxy_read_timeout'), '1h')
    assert.equal(argumentOf('= /ws', 'proxy_send_timeout'), '1h')
  })

  it('does without the directives that had flaws', async () => {
    const directives = await dump({})
    const flawed = [
      'rewrite',
      'slice',
      'dav_methods',
      'dav_access',
      'open_file_cache',
      'proxy_store',
    ]
    for (const name of flawed) assert.deepEqual(findDirectives(directives, name), [], name)
    for (const { directive } of findDirectives(directives, 'map')) {
      for (const { name } of directive.block) assert.doesNotMatch(name, /^~/)
    }
    for (const { directive } of findDirectives(directives, 'location')) {
      assert.doesNotMatch(directive.args[0] ?? '', /^~/)
      const isAlias = findDirectives(directive.block, 'alias').length > 0
      if (isAlias) assert.match(directive.args.at(-1) ?? '', /\/$/)
    }
  })

  it('runs as an ordinary user', { skip: IS_ROOT ? false : 'runs so anyway' }, async () => {
    await using front = await Front.start({}, NOBODY)
    const body = Buffer.alloc(2 ** 20)
    assert.equal((await front.ask('/events/x', { method: 'POST', body })).body, String(2 ** 20))
  })
})
