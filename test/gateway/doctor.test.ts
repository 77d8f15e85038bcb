import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { checkCertificate } from '../../src/gateway/doctor/check-certificate.ts'
import { judgeFront } from '../../src/gateway/doctor/judge-front.ts'
import { renderFront } from '../../src/gateway/front/front.ts'
import { parseDump } from '../../src/gateway/front/front-dump.ts'
import type { FrontOptions } from '../../src/gateway/front/front-options.ts'
import { parseSettings, type Settings } from '../../src/gateway/settings/settings.ts'
import { makeCertificate, OPENSSL_MISSING } from '../support/certificate.ts'
import { optionsFor, SECRET, temporaryDirectory } from '../support/front.ts'

const PREFIX = '/srv/front'
const OPTIONS: FrontOptions = {
  ...optionsFor(PREFIX, '127.0.0.1:8080', 8088),
  volumes: '/srv/data/state/volumes',
}
const BEHIND = {
  BROKER_PROXY: 'nginx',
  BROKER_PROXY_SECRET_FILE: '/secret',
  BROKER_DATA: '/srv/data',
}

function settingsOf(env: Readonly<Record<string, string>>): Settings {
  const settings = parseSettings({ env, cwd: '/' })
  assert.ok(settings.ok)
  return settings.value
}

/** What is said of the rendered configuration after `edit`, as `verdict: detail`. */
function judged(
  edit: (text: string) => string,
  { env = {}, options = OPTIONS }: { env?: Record<string, string>; options?: FrontOptions } = {},
): readonly string[] {
  const files = [...renderFront(options)].map(
    ([name, text]) => `# configuration file ${PREFIX}/${name}:\n${edit(text)}\n`,
  )
  const configuration = { directives: parseDump(files.join('')), prefix: PREFIX, directory: PREFIX }
  const verdicts = judgeFront(configuration, settingsOf({ ...BEHIND, ...env }), SECRET)
  for (const { fix } of verdicts) assert.ok(fix)
  return verdicts.map(({ verdict, detail }) => `${verdict}: ${detail}`)
}

const unchanged = (text: string) => text

describe('the doctor on the configuration of Nginx', () => {
  test('has nothing against what broker nginx writes', () => {
    assert.deepEqual(judged(unchanged), [])
    const tls = { listen: '8443', certificate: '/c', key: '/k', clientCa: undefined }
    assert.deepEqual(
      judged(unchanged, { options: { ...OPTIONS, http: undefined, https: tls } }),
      [],
    )
    const socket = { options: { ...OPTIONS, upstream: 'unix:/run/b.sock' } }
    assert.deepEqual(
      judged(unchanged, { ...socket, env: { BROKER_LISTEN: 'unix:/run/b.sock' } }),
      [],
    )
  })

  const broken: readonly [string, RegExp, string, RegExp][] = [
    [
      'a location without the identity headers',
      /(location \/events \{\n)\s+include broker-identity.conf;/,
      '$1',
      /^problem: location \/events lets clients say x-forwarded-for.*x-broker-proxy/,
    ],
    [
      'an address that the client may begin',
      /(X-Forwarded-For) \$remote_addr/,
      '$1 $proxy_add_x_forwarded_for',
      /^problem: location \/ lets clients say x-forwarded-for$/,
    ],
    [
      'another secret',
      new RegExp(SECRET),
      'other',
      /^problem: location \/ does not show the secret/,
    ],
    [
      'small files only',
      /client_max_body_size 0/g,
      'client_max_body_size 1g',
      /\/files\/x takes 1g/,
    ],
    ['the limit of Nginx itself', /client_max_body_size \d+;/g, '', /^problem: \/uploads takes 1m/],
    [
      'uploads that are buffered',
      /proxy_request_buffering off;/g,
      '',
      /^warning: uploads to \/uploads/,
    ],
    ['streams that are buffered', /proxy_buffering off;/, '', /^problem: events wait in a buffer/],
    ['a short patience', /proxy_read_timeout (?:24|1)h;/g, '', /^warning: quiet streams are ended/],
    ['no upgrade', /proxy_set_header Upgrade .*;/g, '', /^problem: WebSockets cannot be opened/],
    [
      'an open question',
      /location \/auth\/upload .*/,
      '',
      /^problem: clients may ask \/auth\/upload/,
    ],
    ['no downloads', /alias .*;/, '', /^problem: downloads are not found/],
    [
      'downloads for everybody',
      /internal;(\s+alias)/,
      '$1',
      /^problem: location \/-\/serve\/ gives everybody what lies in \/srv\/data\/state\/volumes\//,
    ],
    [
      'an open port in clear text',
      /listen 127.0.0.1:/,
      'listen ',
      /^warning: tokens go in clear text to 8088/,
    ],
  ]
  for (const [name, pattern, replacement, expected] of broken) {
    test(`tells ${name}`, () => {
      const found = judged((text) => text.replace(pattern, replacement))
      assert.ok(
        found.some((line) => expected.test(line)),
        found.join('\n'),
      )
    })
  }

  test('tells a data directory that is served whole', () => {
    const found = judged((text) => text.replace('location / {', 'location /d { root /srv; }\n$&'))
    assert.deepEqual(found, ['problem: location /d gives everybody what lies in /srv/'])
  })

  test('tells a limit below that of the broker, and a broker that believes nobody', () => {
    const env = { BROKER_PROXY: 'off', BROKER_MAX_EVENT: '16MiB', BROKER_MAX_FILE: '5GiB' }
    const [untrusted, ...others] = judged(unchanged, { env })
    assert.match(untrusted ?? '', /^warning: .* does not believe it/)
    assert.deepEqual(others, [])
  })
})

test('a certificate is told before it ends, after it ended, and with a key of another', {
  skip: OPENSSL_MISSING,
}, async () => {
  const dir = await temporaryDirectory()
  try {
    const [one, other] = ['one', 'other'].map((name) => makeCertificate(dir, name))
    assert.ok(one !== undefined && other !== undefined)
    const verdictsAt = async (days: number, key = one.key) =>
      (await checkCertificate(one.cert, key, Date.now() + days * 86_400_000)).map(
        ({ verdict }) => verdict,
      )
    assert.deepEqual(await verdictsAt(-30), ['ok', 'ok'])
    assert.deepEqual(await verdictsAt(0), ['warning', 'ok'])
    assert.deepEqual(await verdictsAt(3), ['problem', 'ok'])
    assert.deepEqual(await verdictsAt(-30, other.key), ['problem', 'ok'])
  } finally {
    await rm(dir, { recursive: true })
  }
})
