import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseUsersXml, type XmlElement } from '../../src/auth/users-file/users-xml.ts'
import { escapeAttribute } from '../../src/auth/users-file/xml-splice.ts'
import { parseText, USERS_XML } from './users-fixture.ts'

const SCHEMA = fileURLToPath(new URL('../../config/broker_users.xsd', import.meta.url))
const SHIPPED = fileURLToPath(new URL('../../config/broker_users.xml', import.meta.url))

/** Faults that a schema need not see: of names elsewhere in the file, and of what a text means. */
const MEANING = [
  /^unknown role /,
  / is there already in line /,
  / is listed already in line /,
  /^"anonymous" is there more than once/,
  /^a grant has "topics" or "files", not both/,
  /^the action ".*" (does not go with|needs) /,
  /^"(topics|files)" is not a valid pattern: /,
  /^"(roles|actions)" names one thing twice/,
  /^"public" is not a CURVE key/,
  /^a claim is there more than once/,
  /^"issuer" has no valid host or port/,
]

const OIDC = `<oidc issuer="https://ci.example" audience="broker" note="n"><claim name="sub" value="a/*"/>
  <claim name="ref" value="main"/></oidc>`

const USERS = USERS_XML.replace(
  '<user name="ann" roles="reader"/>',
  `<user name="ann">${OIDC}</user>`,
)

/** What each attribute is given in turn, beside its own value. */
const VALUES = [
  ...['', ' ', 'x', 'X-1._y', '-x', 'é', 'x'.repeat(64), 'x'.repeat(65), 'a b', ' a  b ', '1', '2'],
  ...[
    'read',
    'read read',
    'read\tlist',
    'publish subscribe',
    'administer',
    'nothing',
    'a/**',
    '**/a',
  ],
  ...[
    'ab'.repeat(32),
    'AB'.repeat(32),
    'ab'.repeat(31),
    '&<>"\'',
    'x'.repeat(500),
    'x'.repeat(501),
  ],
  ...['2027-11-20T00:00:00Z', '2027-11-20T00:00:00.123456789+14:00', '2027-11-20T00:00:00'],
  ...[
    '2027-02-29T00:00:00Z',
    '2028-02-29T00:00:00Z',
    '2027-13-01T00:00:00Z',
    '2027-11-20',
    'x'.repeat(40),
  ],
  ...[
    '2027-11-20T24:00:00Z',
    '2027-11-20T00:00:60Z',
    '2027-11-20T00:00:00+15:00',
    '0000-01-01T00:00:00Z',
  ],
  ...[
    '2027-11-20T00:00:00.1234567891Z',
    '12027-11-20T00:00:00Z',
    '-2027-11-20T00:00:00Z',
    '2027-11-20T00:00:00z',
  ],
  ...['https://a.example:8443/b/c', 'https://', 'http://a.example', 'http://127.0.0.1:1/'],
  ...['http://[::1]', 'https://a.example?b', 'https://a.example#b', 'https://u@a.example'],
  ...['https://a:99999', 'HTTPS://a', '*', '*/*', 'a/*', 'x'.repeat(128), 'x'.repeat(129)],
  ...['x'.repeat(200), 'x'.repeat(201), '\u{1f600}'.repeat(200), '\u{1f600}'.repeat(300)],
]

const ATTRIBUTES = [
  'name',
  'roles',
  'actions',
  'topics',
  'expires',
  'note',
  'id',
  'sha256',
  'xml:lang',
]

/** An element with one thing another than in the file, each in turn. */
function* variantsOf(element: XmlElement): Generator<XmlElement> {
  const { attributes, children } = element
  for (const name of attributes.keys()) {
    yield { ...element, attributes: new Map([...attributes].filter(([key]) => key !== name)) }
  }
  for (const name of new Set([...attributes.keys(), ...ATTRIBUTES])) {
    const values = attributes.has(name) ? VALUES : ['x']
    for (const value of values)
      yield { ...element, attributes: new Map([...attributes, [name, value]]) }
  }
  yield { ...element, name: 'other' }
  yield { ...element, hasText: true }
  for (const [index, child] of children.entries()) {
    yield { ...element, children: children.toSpliced(index, 1) }
    yield { ...element, children: children.toSpliced(index, 0, child) }
    for (const other of children)
      yield { ...element, children: [...children, { ...child, name: other.name }] }
    for (const variant of variantsOf(child))
      yield { ...element, children: children.with(index, variant) }
  }
}

function written({ name, attributes, children, hasText }: XmlElement): string {
  const pairs = [...attributes].map(([key, value]) => ` ${key}="${escapeAttribute(value)}"`)
  return `<${name}${pairs.join('')}>${hasText ? 'text' : ''}${children.map(written).join('\n')}</${name}>`
}

function rootOf(text: string): XmlElement {
  const root = parseUsersXml(Buffer.from(text))
  if (!root.ok) throw new Error(root.error.message)
  return root.value
}

/** Which of the texts are valid by the schema. */
async function validBySchema(texts: readonly string[]): Promise<readonly boolean[]> {
  const cwd = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    for (const [index, text] of texts.entries()) await writeFile(join(cwd, `${index}.xml`), text)
    const names = texts.map((_, index) => `${index}.xml`)
    const args = ['--nonet', '--noout', '--schema', SCHEMA, ...names]
    const messages = await new Promise<string>((resolve) => {
      const options = { cwd, maxBuffer: 64 * 1024 * 1024 }
      execFile('xmllint', args, options, (_error, _stdout, stderr) => resolve(stderr))
    })
    const verdicts = new Map(
      [...messages.matchAll(/^(\d+\.xml) (validates|fails to validate)$/gm)].map((match) => [
        match[1],
        match[2] === 'validates',
      ]),
    )
    return names.map((name) => {
      const verdict = verdicts.get(name)
      assert.ok(verdict !== undefined, `no verdict of ${name}: ${messages.slice(0, 500)}`)
      return verdict
    })
  } finally {
    await rm(cwd, { recursive: true })
  }
}

const skip = spawnSync('xmllint', ['--version']).error !== undefined && 'xmllint is not installed'

test('the schema for editors and the broker accept and refuse the same files', {
  skip,
}, async () => {
  const texts = [await readFile(SHIPPED, 'utf8'), USERS]
  texts.push(...[...variantsOf(rootOf(USERS))].map(written))
  const bySchema = await validBySchema(texts)
  const counts = { both: 0, neither: 0, meaning: 0 }
  for (const [index, text] of texts.entries()) {
    const parsed = parseText(text)
    const faults = parsed.ok ? [] : parsed.error.map(({ message }) => message)
    const ofShape = faults.filter((fault) => !MEANING.some((pattern) => pattern.test(fault)))
    if (parsed.ok) assert.ok(bySchema[index], `refused by the schema alone:\n${text}`)
    else if (ofShape.length > 0) assert.ok(!bySchema[index], `${ofShape.join('; ')}\n${text}`)
    counts[parsed.ok ? 'both' : ofShape.length > 0 ? 'neither' : 'meaning'] += 1
  }
  for (const [verdict, count] of Object.entries(counts))
    assert.ok(count > 50, `${verdict} ${count}`)
})
