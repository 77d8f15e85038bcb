import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { renderFront, writeFront } from '../../src/gateway/front/front.ts'
import { volumesDirectory } from '../../src/gateway/front/front-options.ts'
import {
  FRONT_FLAGS,
  type FrontRequest,
  parseFrontRequest,
  readProxySecret,
} from '../../src/gateway/front/front-request.ts'
import { parseSettings } from '../../src/gateway/settings/settings.ts'
import { parseArguments } from '../../src/gateway/settings/settings-arguments.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

function parse(argv: readonly string[], env: Readonly<Record<string, string>> = {}, secret = '') {
  const parsed = parseArguments(argv, FRONT_FLAGS)
  assert.ok(parsed.ok, JSON.stringify(parsed))
  const settings = parseSettings({ flags: parsed.value.settings, env, cwd: ROOT })
  assert.ok(settings.ok)
  return parseFrontRequest(parsed.value.own, settings.value, ROOT, { secret })
}

function requestOf(...given: Parameters<typeof parse>): FrontRequest {
  const parsed = parse(...given)
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error.message)
  return parsed.value
}

function faultsOf(...given: Parameters<typeof parse>): string {
  const parsed = parse(...given)
  assert.ok(!parsed.ok)
  return parsed.error.message
}

describe('HTTP/2', () => {
  const listens = (nginxVersion: string | undefined) => {
    const { options } = requestOf(['--dir=d', '--https=8443', '--certificate=c', '--key=k'])
    const text = renderFront({ ...options, nginxVersion }).get('nginx.conf') ?? ''
    return text.match(/.*(?:8443|http2).*/g)?.map((line) => line.trim())
  }

  it('is asked for as the version of Nginx knows it', () => {
    const parameter = ['listen 8443 ssl http2 so_keepalive=on;']
    for (const version of [undefined, '1.22.1', '1.25.0']) {
      assert.deepEqual(listens(version), parameter, version)
    }
    const directive = ['listen 8443 ssl so_keepalive=on;', 'http2 on;']
    for (const version of ['1.25.1', '1.26.0', '2.0.0']) {
      assert.deepEqual(listens(version), directive, version)
    }
  })
})

describe('the shipped front', () => {
  it('is what is rendered for default settings', async () => {
    const { dir, options } = requestOf(['--dir', 'nginx'])
    assert.equal(dir, join(ROOT, 'nginx'))
    for (const [name, text] of renderFront(options)) {
      const shipped = await readFile(join(dir, name), 'utf8')
      assert.equal(shipped, text, `nginx/${name} is stale: run broker nginx --dir nginx`)
    }
    const names = (await readdir(dir)).filter((name) => !renderFront(options).has(name))
    assert.deepEqual(names.sort(), ['.gitignore', 'modules', 'run'])
  })

  it('serves HTTP on 8088 and the ZeroMQ endpoints on loopback', () => {
    const { options } = requestOf(['--dir', 'nginx'])
    assert.equal(options.http, '8088')
    assert.equal(options.upstream, '127.0.0.1:8080')
    assert.deepEqual(options.zmq, [
      { listen: '127.0.0.1:6556', upstream: '127.0.0.1:5556' },
      { listen: '127.0.0.1:6557', upstream: '127.0.0.1:5557' },
    ])
    assert.equal(options.volumes, '../data/state/volumes')
  })
})

describe('the front for other settings', () => {
  it('is taken from those of the broker', () => {
    const { options } = requestOf(['--dir', '/etc/front', '--listen', 'unix:/run/b.sock'], {
      BROKER_DATA: '/srv/broker',
      BROKER_MAX_FILE: '1GiB',
      BROKER_ZMQ_SUBSCRIBE: 'tcp://127.0.0.1:5556,tcp://*:5558?security=curve',
      BROKER_ZMQ_SESSION: 'off',
    })
    assert.equal(options.upstream, 'unix:/run/b.sock')
    assert.equal(options.volumes, '/srv/broker/state/volumes')
    assert.equal(options.maxFileBytes, 2 ** 30)
    assert.deepEqual(options.zmq, [
      { listen: '127.0.0.1:6556', upstream: '127.0.0.1:5556' },
      { listen: '6558', upstream: '127.0.0.1:5558' },
    ])
  })

  it('reaches over loopback what the broker binds to every interface', () => {
    assert.equal(
      requestOf(['--dir', 'x', '--listen', '0.0.0.0:80']).options.upstream,
      '127.0.0.1:80',
    )
    assert.equal(requestOf(['--dir', 'x', '--listen', '[::]:80']).options.upstream, '[::1]:80')
  })

  it('has the ports that are asked for, and plain HTTP beside HTTPS only then', () => {
    const tls = ['--https', '8443', '--certificate', 'c.pem', '--key', 'k.pem']
    const { options } = requestOf(['--dir', 'x', ...tls, '--client-ca', '/ca.pem'])
    assert.equal(options.http, undefined)
    assert.deepEqual(options.https, {
      listen: '8443',
      certificate: join(ROOT, 'c.pem'),
      key: join(ROOT, 'k.pem'),
      clientCa: '/ca.pem',
    })
    assert.equal(requestOf(['--dir', 'x', ...tls, '--http', '80']).options.http, '80')
    const zmq = ['--zmq-subscribe', '7000', '--zmq-session', 'off']
    assert.deepEqual(requestOf(['--dir', 'x', ...zmq]).options.zmq, [
      { listen: '127.0.0.1:7000', upstream: '127.0.0.1:5556' },
    ])
    const open = ['--zmq-subscribe', '0.0.0.0:7000', '--zmq-session', 'off']
    assert.equal(requestOf(['--dir', 'x', ...open]).options.zmq[0]?.listen, '0.0.0.0:7000')
  })

  it('tells what is not well formed', () => {
    assert.match(faultsOf([]), /^--dir is needed/)
    const faults: readonly (readonly [argv: readonly string[], fault: RegExp])[] = [
      [['--http', '0'], /--http: "0" is no port/],
      [['--http', '80;}'], /is no port/],
      [['--https', '8443'], /needs --certificate and --key/],
      [['--client-ca', 'x'], /are for --https/],
      [['--zmq-session', '1,2'], /has 1 such endpoints/],
      [['--user', 'a;b'], /is no account/],
      [['--data', '/a$b'], /--data: holds a character/],
      [['--https', '1', '--key', 'k"', '--certificate', 'c'], /--key: holds a character/],
    ]
    for (const [argv, fault] of faults) assert.match(faultsOf(['--dir', 'x', ...argv]), fault)
    assert.match(faultsOf(['--dir', 'x'], {}, 'a"b'), /the secret for Nginx/)
    const anyPort = { BROKER_ZMQ_SESSION: 'tcp://127.0.0.1:0' }
    assert.match(faultsOf(['--dir', 'x'], anyPort), /is not known/)
  })

  it('names the volumes relative to the prefix while both lie in one directory', () => {
    assert.equal(volumesDirectory('/a/data', '/a/nginx'), '../data/state/volumes')
    assert.equal(volumesDirectory('/b/data', '/a/nginx'), '/b/data/state/volumes')
    assert.equal(volumesDirectory('/ab/data', '/a/nginx'), '/ab/data/state/volumes')
  })
})

describe('the written front', () => {
  it('holds the secret where only its owner reads, and can be written again', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'broker-'))
    try {
      const secret = 'abcdefghijklmnop'
      const plain = requestOf(['--dir', dir]).options
      await writeFront(dir, plain)
      await writeFront(dir, { ...plain, secret })
      const identity = await readFile(join(dir, 'broker-identity.conf'), 'utf8')
      assert.match(identity, /^proxy_set_header X-Broker-Proxy "abcdefghijklmnop";$/m)
      assert.equal((await stat(join(dir, 'broker-identity.conf'))).mode & 0o777, 0o600)
      assert.ok((await stat(join(dir, 'run'))).isDirectory())
      assert.equal(await readlink(join(dir, 'modules')), '/usr/lib/nginx/modules')
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('takes a secret that Nginx can write, and never tells it', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'broker-'))
    try {
      const path = join(dir, 'secret')
      const read = async (content: string) => {
        await writeFile(path, content)
        return await readProxySecret(path)
      }
      assert.deepEqual(await read(' 0123456789abcdef\n'), { ok: true, value: '0123456789abcdef' })
      for (const content of [
        '',
        'short',
        '0123456789abcde$',
        '0123456789 abcdef',
        'ééééééééééééééééé',
      ]) {
        const secret = await read(content)
        assert.ok(!secret.ok)
        assert.match(secret.error.message, /^--proxy-secret-file: the secret must be/)
      }
      const missing = await readProxySecret(join(dir, 'none'))
      assert.match(missing.ok ? '' : missing.error.message, /ENOENT/)
    } finally {
      await rm(dir, { recursive: true })
    }
  })
})
