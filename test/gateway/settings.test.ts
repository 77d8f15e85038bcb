import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  parseSettings,
  type Settings,
  type SettingsSource,
} from '../../src/gateway/settings/settings.ts'
import { parseArguments } from '../../src/gateway/settings/settings-arguments.ts'
import { loadSettings } from '../../src/gateway/settings/settings-command-line.ts'
import {
  describeSettings,
  settingsAsJson,
  settingsAsText,
} from '../../src/gateway/settings/settings-description.ts'
import { editDistance, nearestName } from '../../src/gateway/settings/settings-nearest-name.ts'
import { configurationPage } from '../../src/gateway/settings/settings-page.ts'
import { SETTING_ROWS } from '../../src/gateway/settings/settings-schema.ts'
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from '../../src/gateway/settings/settings-units.ts'
import { UsageError } from '../../src/gateway/settings/settings-usage-error.ts'

const CWD = '/srv/here'

function source(flags: readonly string[], more: Partial<SettingsSource> = {}): SettingsSource {
  const parsed = parseArguments(flags)
  assert.ok(parsed.ok)
  return { flags: parsed.value.settings, cwd: CWD, ...more }
}

function settingsOf(flags: readonly string[], more: Partial<SettingsSource> = {}): Settings {
  const parsed = parseSettings(source(flags, more))
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error.message)
  return parsed.value
}

function faultsOf(flags: readonly string[], more: Partial<SettingsSource> = {}): readonly string[] {
  const parsed = parseSettings(source(flags, more))
  assert.ok(!parsed.ok, 'was accepted')
  assert.ok(parsed.error instanceof UsageError)
  assert.equal(parsed.error.exitCode, 2)
  return parsed.error.faults
}

function fileOf(content: unknown) {
  return { file: { name: 'broker.json', text: JSON.stringify(content) } }
}

describe('the names of settings', () => {
  it('are those that the manual fixes', () => {
    assert.deepEqual(
      SETTING_ROWS.map(({ flag, variable }) => `${flag} ${variable}`),
      [
        '--listen BROKER_LISTEN',
        '--data BROKER_DATA',
        '--users BROKER_USERS',
        '--zmq-subscribe BROKER_ZMQ_SUBSCRIBE',
        '--zmq-session BROKER_ZMQ_SESSION',
        '--events BROKER_EVENTS',
        '--files BROKER_FILES',
        '--history-events BROKER_HISTORY_EVENTS',
        '--history-bytes BROKER_HISTORY_BYTES',
        '--history-age BROKER_HISTORY_AGE',
        '--max-event BROKER_MAX_EVENT',
        '--publish-rate BROKER_PUBLISH_RATE',
        '--connections-per-user BROKER_CONNECTIONS_PER_USER',
        '--connections-per-address BROKER_CONNECTIONS_PER_ADDRESS',
        '--max-file BROKER_MAX_FILE',
        '--file-policy BROKER_FILE_POLICY',
        '--settle BROKER_SETTLE',
        '--proxy BROKER_PROXY',
        '--proxy-secret-file BROKER_PROXY_SECRET_FILE',
        '--origins BROKER_ORIGINS',
        '--public-url BROKER_PUBLIC_URL',
        '--workers BROKER_WORKERS',
        '--log-level BROKER_LOG_LEVEL',
      ],
    )
  })

  it('have their page in docs/configuration.md up to date', async () => {
    const page = await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
    assert.equal(page, configurationPage(), 'run: node scripts/generate-configuration.ts')
  })

  it('are told when unknown, with the nearest one there is', () => {
    const flags = parseArguments(['--histroy-events', '5', '--xyzzy'])
    assert.deepEqual(flags.ok ? [] : flags.error, [
      '--histroy-events: unknown flag; did you mean --history-events?',
      '--xyzzy: unknown flag',
    ])
    assert.deepEqual(faultsOf([], { env: { BROKER_LISTN: ':80', HOME: '/' } }), [
      'BROKER_LISTN: unknown environment variable; did you mean BROKER_LISTEN?',
    ])
    assert.deepEqual(faultsOf([], fileOf({ maxfile: '1GB', listen: 5 })), [
      'broker.json: maxfile: unknown setting; did you mean maxFile?',
      'broker.json: listen: must be string',
    ])
  })

  it('leave alone the variables of clients and those that container platforms set', () => {
    const env = {
      BROKER_URL: 'http://b',
      BROKER_TOKEN: 'x',
      BROKER_USER: 'jenkins',
      BROKER_SERVICE_HOST: '10.0.0.1',
      BROKER_SERVICE_PORT_HTTP: '8080',
      BROKER_PORT: 'tcp://10.0.0.1:8080',
      BROKER_PORT_8080_TCP_ADDR: '10.0.0.1',
      BROKER_DATA: '',
    }
    assert.deepEqual(settingsOf([], { env }), settingsOf([]))
  })
})

describe('settings', () => {
  it('have the defaults of the manual', () => {
    assert.deepEqual(settingsOf([]), {
      listen: { kind: 'tcp', host: '127.0.0.1', port: 8080 },
      data: '/srv/here/data',
      users: '/srv/here/config/broker_users.xml',
      zmqSubscribe: [
        {
          address: 'tcp://127.0.0.1:5556',
          host: '127.0.0.1',
          port: 5556,
          security: 'plain',
          filter: '**',
        },
      ],
      zmqSession: [
        { address: 'tcp://127.0.0.1:5557', host: '127.0.0.1', port: 5557, security: 'null' },
      ],
      events: { kind: 'sqlite', path: '/srv/here/data/state/broker.db' },
      files: { kind: 'file', path: '/srv/here/data/files' },
      historyEvents: 100_000,
      historyBytes: 256 * 2 ** 20,
      historyAgeMs: 24 * 3600 * 1000,
      maxEventBytes: 2 ** 20,
      publishRate: Number.POSITIVE_INFINITY,
      connectionsPerUser: 20_000,
      connectionsPerAddress: 20_000,
      maxFileBytes: Number.POSITIVE_INFINITY,
      filePolicy: undefined,
      settleMs: 500,
      proxy: 'off',
      proxySecretFile: undefined,
      origins: [],
      publicUrl: undefined,
      workers: 0,
      logLevel: 'info',
    })
  })

  it('are taken from the flag, then the environment, then the file', () => {
    const file = fileOf({ historyEvents: 1, maxEvent: '1KiB', settle: '1s' })
    const env = { BROKER_HISTORY_EVENTS: '2', BROKER_MAX_EVENT: '2KiB' }
    const settings = settingsOf(['--history-events=3'], { env, ...file })
    assert.equal(settings.historyEvents, 3)
    assert.equal(settings.maxEventBytes, 2048)
    assert.equal(settings.settleMs, 1000)
  })

  it('have paths relative to the working directory, and <data> where the data are', () => {
    const settings = settingsOf(['--data', '../d', '--files', 'file:<data>/x', '--users', 'u.xml'])
    assert.equal(settings.data, '/srv/d')
    assert.deepEqual(settings.events, { kind: 'sqlite', path: '/srv/d/state/broker.db' })
    assert.deepEqual(settings.files, { kind: 'file', path: '/srv/d/x' })
    assert.equal(settings.users, '/srv/here/u.xml')
    assert.deepEqual(settingsOf(['--listen', 'unix:run/s']).listen, {
      kind: 'unix',
      path: '/srv/here/run/s',
    })
    assert.deepEqual(settingsOf(['--files', 'file:///srv/f']).files, {
      kind: 'file',
      path: '/srv/f',
    })
  })

  it('read endpoints with their mechanism and filter', () => {
    const { zmqSubscribe, zmqSession } = settingsOf([
      '--zmq-subscribe',
      'tcp://127.0.0.1:0, tcp://*:5558?security=curve&filter=ci/*/a+b%2C/**',
      '--zmq-session=off',
    ])
    assert.deepEqual(
      zmqSubscribe.map(({ address, host, port, security, filter }) => [
        address,
        host,
        port,
        security,
        filter,
      ]),
      [
        ['tcp://127.0.0.1:0', '127.0.0.1', 0, 'plain', '**'],
        ['tcp://*:5558', '*', 5558, 'curve', 'ci/*/a+b,/**'],
      ],
    )
    assert.deepEqual(zmqSession, [])
    const list = ['tcp://[::1]:1', 'tcp://h:2?security=curve']
    assert.deepEqual(
      settingsOf([], fileOf({ zmqSession: list })).zmqSession.map(({ host, security }) => [
        host,
        security,
      ]),
      [
        ['::1', 'null'],
        ['h', 'curve'],
      ],
    )
  })

  it('tell every value that is not well formed, and where it was given', () => {
    const refused: readonly (readonly [flag: string, value: string, fault: RegExp])[] = [
      ['--listen', '8080', /is no address/],
      ['--listen', '*:8080', /is no address/],
      ['--listen', '127.0.0.1:65536', /is no address/],
      ['--listen', 'unix:', /needs a path/],
      ['--zmq-subscribe', 'ipc:///tmp/x', /is no endpoint/],
      ['--zmq-subscribe', 'tcp://127.0.0.1:1?security=null', /security is plain or curve/],
      ['--zmq-subscribe', 'tcp://127.0.0.1:1?filter=a//b', /bad segment ""/],
      ['--zmq-subscribe', 'tcp://127.0.0.1:1?filter=%zz', /malformed percent escape/],
      ['--zmq-subscribe', 'tcp://127.0.0.1:1,tcp://127.0.0.1:1', /twice/],
      ['--zmq-session', 'tcp://127.0.0.1:1?security=plain', /security is null or curve/],
      ['--zmq-session', 'tcp://127.0.0.1:1?filter=a', /followed by security only/],
      ['--events', 'nats://u:secret@h', /^--events: nats: .* does not have/],
      ['--events', 'sqlite:', /needs a path/],
      ['--files', 's3://bucket', /does not have/],
      ['--files', 'file://host/x', /another machine/],
      ['--history-events', '0', /whole number/],
      ['--history-events', '1e3', /whole number/],
      ['--history-bytes', '0', /more than 0/],
      ['--history-age', '24', /is no duration/],
      ['--max-event', '17MiB', /at most 16MiB/],
      ['--max-file', 'much', /is no size/],
      ['--settle', '61s', /at most 60s/],
      ['--proxy', 'apache', /must be off, nginx/],
      ['--origins', '*', /is no web origin/],
      ['--origins', 'https://a.example/x', /is no web origin/],
      ['--public-url', 'ftp://a', /is no web address/],
      ['--public-url', 'https://u:p@a', /is no web address/],
      ['--workers', 'two', /must be 0 to 256/],
      ['--log-level', 'loud', /must be fatal/],
    ]
    for (const [flag, value, fault] of refused) {
      const [first = '', ...more] = faultsOf([flag, value])
      assert.match(first, fault, `${flag} ${value}`)
      assert.ok(first.startsWith(`${flag}: `))
      assert.doesNotMatch(first, /secret/)
      assert.deepEqual(more, [])
    }
    assert.equal(faultsOf(['--workers', '-1', '--settle', 'x']).length, 2)
    assert.match(faultsOf([], { env: { BROKER_SETTLE: '1' } })[0] ?? '', /^BROKER_SETTLE: /)
    assert.match(faultsOf([], fileOf({ settle: '1' }))[0] ?? '', /^broker.json: settle: /)
  })

  it('refuse a file that is no JSON object, without quoting it', () => {
    for (const text of ['', '[]', '{"token": dbk_secret}', 'null']) {
      const faults = faultsOf([], { file: { name: 'broker.json', text } })
      assert.deepEqual(faults, ['broker.json: is not a JSON object'])
    }
  })

  it('refuse to trust a proxy over TCP that shows no secret', () => {
    assert.match(faultsOf(['--proxy', 'nginx'])[0] ?? '', /--proxy-secret-file/)
    assert.equal(settingsOf(['--proxy', 'nginx', '--listen', 'unix:s']).proxy, 'nginx')
    const settings = settingsOf(['--proxy', 'nginx', '--proxy-secret-file', 's'])
    assert.equal(settings.proxySecretFile, '/srv/here/s')
  })

  it('normalise origins and the public address', () => {
    const { origins } = settingsOf([
      '--origins',
      'https://A.example:443, http://b:8000,http://b:8000',
    ])
    assert.deepEqual(origins, ['https://a.example', 'http://b:8000'])
    assert.equal(settingsOf(['--public-url', 'https://x/broker/']).publicUrl, 'https://x/broker')
  })
})

describe('a description of settings', () => {
  const flags = [
    ['--zmq-subscribe', 'tcp://*:5558?security=curve&filter=ci/*/a+b%2C/**,tcp://[::1]:1'],
    ['--zmq-session', 'off', '--events', 'memory:', '--max-file', '1500', '--settle', '0ms'],
    ['--proxy', 'nginx', '--proxy-secret-file', '/s', '--history-age', '90m'],
    [
      '--origins',
      'https://a.example,http://b:1',
      '--public-url',
      'https://x',
      '--listen',
      'unix:/s',
    ],
    [],
  ]

  it('is, as JSON, a settings file for the same settings', () => {
    for (const each of flags) {
      const settings = settingsOf(each)
      assert.deepEqual(settingsOf([], fileOf(settingsAsJson(settings))), settings)
    }
  })

  it('shows every setting as text, in the order of the manual', () => {
    const lines = settingsAsText(settingsOf([])).trimEnd().split('\n')
    assert.deepEqual(
      lines.map((line) => line.split(' ')[0]),
      SETTING_ROWS.map(({ flag }) => flag),
    )
    assert.match(lines.join('\n'), /^--max-file +unlimited$/m)
    assert.match(lines.join('\n'), /^--public-url +\(from the request\)$/m)
  })

  it('redacts a password in a URL', () => {
    const settings = settingsOf([])
    const rows = describeSettings({ ...settings, publicUrl: 'https://u:hunter2@x' })
    assert.equal(rows.find(({ key }) => key === 'publicUrl')?.value, 'https://***@x')
  })
})

describe('a command line', () => {
  it('may hold flags of the command and operands beside the settings', () => {
    const parsed = parseArguments(['a', '--json', '--dir=x', '--data', 'd', '--', '--b'], {
      '--json': 'switch',
      '--dir': 'value',
    })
    assert.ok(parsed.ok)
    assert.deepEqual(
      [...parsed.value.own],
      [
        ['--json', true],
        ['--dir', 'x'],
      ],
    )
    assert.deepEqual([...parsed.value.settings], [['data', 'd']])
    assert.deepEqual(parsed.value.operands, ['a', '--b'])
  })

  it('is refused when a value is missing, repeated or too much', () => {
    const own = { '--json': 'switch' } as const
    const parsed = parseArguments(
      ['--data', '--json=1', '--users', 'a', '--users=b', '--settle'],
      own,
    )
    assert.deepEqual(parsed.ok ? [] : parsed.error, [
      '--data needs a value',
      '--json takes no value',
      '--users is given twice',
      '--settle needs a value',
    ])
  })

  it('names the settings file, which a variable may do too', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'broker-'))
    try {
      await writeFile(join(directory, 'broker.json'), '{"maxFile":"1GiB"}')
      const byFlag = await loadSettings(['--config', 'broker.json', '--json'], {}, directory, {
        '--json': 'switch',
      })
      assert.ok(byFlag.ok)
      assert.equal(byFlag.value.settings.maxFileBytes, 2 ** 30)
      assert.equal(byFlag.value.own.get('--json'), true)
      const byVariable = await loadSettings([], { BROKER_CONFIG: 'broker.json' }, directory)
      assert.ok(byVariable.ok)
      assert.equal(byVariable.value.settings.maxFileBytes, 2 ** 30)
      const missing = await loadSettings(['--config', 'none.json'], {}, directory)
      assert.deepEqual(missing.ok ? [] : missing.error.faults, [
        'none.json: cannot be read (ENOENT)',
      ])
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('never throws, whatever it holds', () => {
    const word = fc.oneof(fc.string(), fc.constantFrom(...SETTING_ROWS.map(({ flag }) => flag)))
    fc.assert(
      fc.property(fc.array(word), fc.string(), (argv, text) => {
        const parsed = parseArguments(argv)
        if (!parsed.ok) return
        parseSettings({ flags: parsed.value.settings, cwd: CWD, file: { name: 'f', text } })
      }),
    )
  })
})

describe('sizes and durations', () => {
  it('are read back from their shortest text', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (value) => {
        assert.deepEqual(parseSize(formatSize(value)), { ok: true, value })
        assert.deepEqual(parseDuration(formatDuration(value)), { ok: true, value })
      }),
    )
    assert.equal(formatSize(3 * 2 ** 30), '3GiB')
    assert.equal(formatSize(0), '0')
    assert.equal(formatDuration(60_000), '1m')
  })

  it('take the units of the manual and fractions that come out whole', () => {
    const sizes = { '1.5KiB': 1536, '1.1KB': 1100, '2 MB': 2e6, '7': 7, '1B': 1, '1TiB': 2 ** 40 }
    for (const [text, value] of Object.entries(sizes)) {
      assert.deepEqual(parseSize(text), { ok: true, value })
    }
    for (const text of ['', '-1', '1.5', '1kb', '1e3', '0x10', '99999999TiB', ' 1']) {
      assert.equal(parseSize(text).ok, false, text)
    }
    assert.deepEqual(parseDuration('7d'), { ok: true, value: 604_800_000 })
    assert.equal(parseDuration('0.0001s').ok, false)
  })
})

describe('the nearest name', () => {
  it('is the one with the fewest edits, if there are few', () => {
    assert.equal(editDistance('kitten', 'sitting'), 3)
    assert.equal(editDistance('', 'abc'), 3)
    assert.equal(nearestName('--lisen', ['--listen', '--level']), '--listen')
    assert.equal(nearestName('--completely-different', ['--listen']), undefined)
  })
})
