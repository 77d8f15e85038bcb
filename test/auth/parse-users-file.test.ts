// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is how patterns of a users file are written
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseUsersFile } from '../../src/auth/users-file/parse-users-file.ts'
import {
  CERTIFICATE,
  CURVE_KEY,
  faultsOf,
  fileOf,
  NOW_MS,
  USERS_XML,
  usersXml,
} from './users-fixture.ts'

const HASH = '0123456789abcdef'.repeat(4)
const RULES = { nowMs: NOW_MS, hasAdminToken: true }

test('a users file is read with its roles, users, credentials, grants and anonymous', () => {
  const file = fileOf(USERS_XML)
  assert.deepEqual(
    file.roles.map(({ name }) => name),
    ['administrator', 'ci', 'reader', 'public'],
  )
  const [, jenkins] = file.users
  assert.deepEqual(jenkins?.roles, ['ci'])
  assert.deepEqual(
    jenkins?.credentials.map(({ kind, id, expiresMs }) => [kind, id, expiresMs]),
    [
      ['token', 'jenkins-1', Date.UTC(2027, 10, 20)],
      ['token', 'jenkins-0', Date.UTC(2025, 11, 31, 23)],
      ['certificate', CERTIFICATE, undefined],
      ['curve-key', CURVE_KEY, undefined],
    ],
  )
  assert.equal(jenkins?.credentials[0]?.note, 'controller')
  assert.deepEqual(jenkins?.grants, [
    {
      effect: 'deny',
      actions: ['create'],
      kind: 'files',
      pattern: 'builds/jenkins/release/**',
      line: 29,
    },
  ])
  assert.deepEqual(file.anonymousRoles, ['public'])
})

test('a byte order mark, CRLF line ends, comments and single quotes change nothing', () => {
  const odd = `\ufeff${USERS_XML.replaceAll('"', "'").replaceAll('\n', '\r\n')}`
  assert.deepEqual(fileOf(odd), fileOf(USERS_XML))
  assert.deepEqual(fileOf(`${USERS_XML}<!-- R&D: <user> <?x?> <!DOCTYPE> -->`), fileOf(USERS_XML))
})

test('entities of XML are decoded once', () => {
  const [user] = fileOf(
    usersXml(
      `<user name="a"><token id="t" sha256="${HASH}" note="&amp;lt; &quot;&apos;&gt;"/></user>`,
    ),
  ).users
  assert.equal(user?.credentials[0]?.note, `&lt; "'>`)
})

test('hashes are read in lower case', () => {
  const [user] = fileOf(
    usersXml(`<user name="a"><certificate sha256="${HASH.toUpperCase()}"/></user>`),
  ).users
  assert.equal(user?.credentials[0]?.value, HASH)
})

test('the attributes by which editors find the schema are accepted', () => {
  const xsi =
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="x.xsd"'
  assert.deepEqual(faultsOf(`<broker-users version="1" ${xsi}/>`), [])
})

/** Text, then the faults as `line:column words of the message`. */
const NOT_WELL_FORMED: readonly (readonly [string, string, string])[] = [
  ['empty', '', '1:1 start tag expected'],
  ['white space', ' \n ', '1:1 start tag expected'],
  ['no XML', 'users: []', '1:1 not expected'],
  ['cut in a tag', '<broker-users version="1">\n<user name="a"', '2:15 ends before'],
  ['cut in a value', '<broker-users version="1">\n<user name="a', '2:6 open quote'],
  ['cut between tags', '<broker-users version="1">\n<user name="a">\n', '2:16 ends before'],
  ['cut at the end', '<broker-users version="1">\n\n', "1:1 unclosed tag 'broker-users'"],
  ['crossed tags', usersXml('<user name="a">'), "3:1 expected closing tag 'user'"],
  ['two roots', `${usersXml('')}<broker-users version="1"/>`, '4:1 multiple possible root'],
  ['text after the root', `${usersXml('')}x`, '4:1 extra text'],
  ['text before the root', `x${usersXml('')}`, '1:1 not expected'],
  ['a document type', '\n<!DOCTYPE broker-users><broker-users version="1"/>', '2:1 DOCTYPE'],
  ['a document type within', usersXml('<!DOCTYPE x>'), '2:1 DOCTYPE'],
  [
    'an external entity',
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<broker-users version="1">&x;</broker-users>',
    '1:1 DOCTYPE',
  ],
  ['an entity declaration', usersXml('<!ENTITY x "y">'), '2:1 ENTITY'],
  ['an unknown entity', usersXml('<role name="&x;"/>'), '2:13 "&"'],
  ['a numeric reference', usersXml('<role name="&#65;"/>'), '2:13 "&"'],
  ['a bare ampersand', usersXml('<role name="a"/>\n <role name="a&b"/>'), '3:15 "&"'],
  ['an entity behind a false comment', usersXml('<!--> &x; -->'), '2:1 comments'],
  ['an unclosed comment', usersXml('<!-- x'), '2:1 comments'],
  ['two dashes in a comment', usersXml('<!-- a -- b -->'), '2:'],
  ['CDATA', usersXml('<![CDATA[x]]>'), '2:1 CDATA'],
  ['a processing instruction', usersXml('<?php x ?>'), '2:1 processing instructions'],
  ['a declaration that is not first', `\n<?xml version="1.0"?>${usersXml('')}`, '2:1 processing'],
  ['another encoding', `<?xml version="1.0" encoding="ISO-8859-1"?>${usersXml('')}`, '1:1 UTF-8'],
  ['another version', `<?xml version="1.1"?>${usersXml('')}`, '1:1 version'],
  ['an attribute twice', usersXml('<role name="a" name="b"/>'), '2:16 repeated'],
  ['an attribute without value', usersXml('<role name/>'), '2:7 boolean attribute'],
  ['a control character', usersXml('<role name="a"/>\u0001'), '2:17 control character'],
  ['a NUL', usersXml('<role name="\u0000"/>'), '2:7 control character'],
  ['less-than in a value', usersXml('<role name="<"/>'), '2:7 must not contain'],
  ['deep nesting', usersXml(`${'<a>'.repeat(20)}${'</a>'.repeat(20)}`), '2:46 nested more than 16'],
  ['an element of prototypes', usersXml('<role name="a"/><__proto__/>'), '2:17 not allowed'],
  ['an attribute of prototypes', usersXml('\n<role constructor="a"/>'), '3:1 not allowed'],
]

for (const [what, text, expected] of NOT_WELL_FORMED) {
  test(`a file with ${what} is refused with one fault and its place`, () => {
    const faults = faultsOf(text)
    assert.equal(faults.length, 1)
    const [fault] = faults
    const place = expected.split(' ')[0] ?? ''
    assert.ok(`${fault?.line}:${fault?.column}`.startsWith(place), JSON.stringify(fault))
    assert.ok(fault?.message.includes(expected.slice(place.length + 1)), JSON.stringify(fault))
  })
}

const NOT_VALID: readonly (readonly [string, string, readonly string[]])[] = [
  ['another root', '<users version="1"/>', ['1:1 root element']],
  ['no version', '<broker-users/>', ['1:1 "version" is missing']],
  ['another version', '<broker-users version="2"/>', ['1:1 "version" is not "1"']],
  ['an unknown element', usersXml('<group name="a"/>'), ['2:1 unknown element "group"']],
  [
    'unknown attributes',
    usersXml('<role name="a" x="1"/>\n<user name="a" sha256="x"/>'),
    ['2:1 unknown attribute "x"', '3:1 unknown attribute "sha256"'],
  ],
  ['text', usersXml('<user name="a">secret</user>'), ['2:1 text is not allowed in "user"']],
  [
    'a user in a role',
    usersXml('<role name="a"><user name="b"/></role>'),
    ['2:16 "user" in "role"'],
  ],
  ['a namespace', usersXml('<x:role name="a"/>'), ['2:1 unknown element "x:role"']],
  ['a missing name', usersXml('<user/>\n<role/>'), ['2:1 "name" is missing', '3:1 "name"']],
  ['bad names', usersXml('<user name=" a"/><user name="-a"/>'), ['2:1 "name"', '2:18 "name"']],
  ['a long name', usersXml(`<user name="${'a'.repeat(65)}"/>`), ['2:1 "name" is not']],
  ['a name of other letters', usersXml('<user name="jösé"/>'), ['2:1 "name" is not']],
  [
    'users of one name',
    usersXml('<user name="a"/>\n<user name="b"/>\n <user name="a"/>'),
    ['4:2 the user "a" is there already in line 2'],
  ],
  [
    'users whose names differ by case',
    usersXml('<user name="Ann"/>\n<user name="ann"/>'),
    ['3:1 the user "ann" is there already in line 2, differing only by case'],
  ],
  [
    'roles whose names differ by case',
    usersXml('<role name="r"/>\n<role name="R"/>'),
    ['3:1 the role "R" is there already in line 2'],
  ],
  ['an unknown role', usersXml('<user name="a" roles="x  y"/>'), ['2:1 role "x"', '2:1 role "y"']],
  [
    'a role of another case',
    usersXml('<role name="ci"/><user name="a" roles="CI"/>'),
    ['2:18 unknown role "CI"'],
  ],
  ['a role twice', usersXml('<role name="r"/><user name="a" roles="r r"/>'), ['2:17 twice']],
  [
    'an unknown role of anonymous',
    usersXml('<anonymous roles="nobody"/>'),
    ['2:1 unknown role "nobody"'],
  ],
  ['two anonymous', usersXml('<anonymous/>\n<anonymous/>'), ['3:1 more than once']],
  [
    'a grant for anonymous',
    usersXml('<anonymous><allow actions="observe"/></anonymous>'),
    ['2:12 "allow" in'],
  ],
  [
    'bad hashes',
    usersXml(
      `<user name="a"><token id="t" sha256="${HASH}0"/>\n<certificate sha256="${HASH.slice(1)}g"/></user>`,
    ),
    ['2:16 "sha256" is not 64', '3:1 "sha256" is not 64'],
  ],
  [
    'a token without id',
    usersXml(`<user name="a"><token sha256="${HASH}"/></user>`),
    ['2:16 "id" is missing'],
  ],
  [
    'a token id twice',
    usersXml(
      `<user name="a"><token id="t" sha256="${HASH}"/></user>\n<user name="b"><token id="T" sha256="${'1'.repeat(64)}"/></user>`,
    ),
    ['3:16 the token "T" is there already in line 2'],
  ],
  [
    'a token hash twice, in another case',
    usersXml(
      `<user name="a"><token id="t" sha256="${HASH}"/></user>\n<user name="b"><token id="u" sha256="${HASH.toUpperCase()}"/></user>`,
    ),
    ['3:16 the same token is listed already in line 2'],
  ],
  [
    'a certificate twice',
    usersXml(
      `<user name="a"><certificate sha256="${HASH}"/>\n<certificate sha256="${HASH}"/></user>`,
    ),
    ['3:1 the same certificate is listed already in line 2'],
  ],
  [
    'a CURVE key twice',
    usersXml(
      `<user name="a"><curve-key public="${'0'.repeat(40)}"/>\n<curve-key public="${'0'.repeat(40)}"/></user>`,
    ),
    ['3:1 the same curve-key is listed already in line 2'],
  ],
  [
    'a short CURVE key',
    usersXml(`<user name="a"><curve-key public="${'0'.repeat(39)}"/></user>`),
    ['2:16 Z85'],
  ],
  [
    'a CURVE key beyond 32 bytes',
    usersXml(`<user name="a"><curve-key public="${'#'.repeat(40)}"/></user>`),
    ['2:16 Z85'],
  ],
  [
    'bad expiry times',
    usersXml(
      [
        '2027-11-20',
        '2027-11-20T00:00:00',
        '2027-02-29T00:00:00Z',
        '2027-13-01T00:00:00Z',
        'never',
        '2027-11-20T24:00:00Z',
      ]
        .map(
          (time, i) =>
            `<user name="u${i}"><token id="t${i}" sha256="${i}${HASH.slice(1)}" expires="${time}"/></user>`,
        )
        .join('\n'),
    ),
    [
      '2:17 "expires"',
      '3:17 "expires"',
      '4:17 "expires"',
      '5:17 "expires"',
      '6:17 "expires"',
      '7:17 "expires"',
    ],
  ],
  [
    'a grant without actions',
    usersXml('<role name="a"><allow topics="**"/></role>'),
    ['2:16 "actions" is missing'],
  ],
  [
    'empty actions',
    usersXml('<role name="a"><allow actions=" " topics="**"/></role>'),
    ['2:16 "actions" is empty'],
  ],
  [
    'an unknown action',
    usersXml('<role name="a"><allow actions="write" files="**"/></role>'),
    ['2:16 action "write"'],
  ],
  [
    'a grant of two kinds',
    usersXml('<role name="a"><allow actions="read" files="**" topics="**"/></role>'),
    ['2:16 not both'],
  ],
  [
    'actions that do not fit',
    usersXml(
      [
        '<role name="a"><allow actions="read" topics="**"/></role>',
        '<role name="b"><allow actions="publish administer" files="**"/></role>',
        '<role name="c"><allow actions="observe subscribe list"/></role>',
      ].join('\n'),
    ),
    [
      '2:16 "read" does not go with "topics"',
      '3:16 "publish" does not go with "files"',
      '3:16 "administer" does not go with "files"',
      '4:16 "subscribe" needs "topics"',
      '4:16 "list" needs "files"',
    ],
  ],
  [
    'bad patterns',
    usersXml(
      [
        '',
        'a//b',
        '/a',
        'a/',
        'a/**/b',
        'a*',
        '..',
        '${role}/x',
        '${User}',
        '${user}\u0301',
        'e\u0301',
        'a\u0085',
      ]
        .flatMap((pattern, i) => [
          `<role name="t${i}"><deny actions="publish" topics="${pattern}"/></role>`,
          `<role name="f${i}"><deny actions="read" files="${pattern}"/></role>`,
        ])
        .join('\n'),
    ),
    Array.from({ length: 24 }, (_, i) => `${i + 2}:${i < 20 ? 17 : 18} is not a valid pattern`),
  ],
  [
    'a file pattern with a backslash or too long once the name is in it',
    usersXml(
      `<role name="a"><allow actions="read" files="a\\b"/></role>\n<role name="b"><allow actions="read" files="${'x'.repeat(200)}\${user}"/></role>`,
    ),
    ['2:16 bad segment', '3:16 bad segment'],
  ],
  [
    'a long note',
    usersXml(`<user name="a"><certificate sha256="${HASH}" note="${'x'.repeat(501)}"/></user>`),
    ['2:16 "note"'],
  ],
]

for (const [what, text, expected] of NOT_VALID) {
  test(`a file with ${what} is refused with every fault and its place`, () => {
    const faults = faultsOf(text)
    const told = faults.map(({ line, column, message }) => `${line}:${column} ${message}`)
    assert.equal(told.length, expected.length, told.join('\n'))
    for (const [i, fault] of expected.entries()) {
      const [place = ''] = fault.split(' ')
      assert.ok(told[i]?.startsWith(`${place} `), `${told[i]} is not at ${place}`)
      assert.ok(
        told[i]?.includes(fault.slice(place.length + 1)),
        `${told[i]} does not say ${fault}`,
      )
    }
  })
}

test('patterns with the user as a segment or a part of one are valid', () => {
  const patterns = [
    '${user}',
    '${user}/**',
    'a/${user}-x/*',
    '*/x.${user}.y/**',
    '$/{user}/${user}${user}',
  ]
  const grants = patterns.flatMap((pattern) => [
    `<allow actions="publish" topics="${pattern}"/>`,
    `<allow actions="read" files="${pattern}"/>`,
  ])
  assert.deepEqual(faultsOf(usersXml(`<role name="a">${grants.join('')}</role>`)), [])
})

test('a fault never quotes a hash or a token that stands where a name belongs', () => {
  const secret = 'dbk_0123456789abcdefghijklmnopqrstuvwxyz'
  const texts = [
    usersXml(`<user name="a" roles="${HASH}"/>`),
    usersXml(`<user name="a" roles="${secret}"/>`),
    usersXml(`<user name="a" ${secret}="x"/>`),
    usersXml(`<${secret}/>`),
    usersXml(`<role name="a"><allow actions="${secret}"/></role>`),
    usersXml(`<role name="a"><allow actions="read" files="${secret}*"/></role>`),
    usersXml(`<role name="a"><allow actions="publish" topics="${secret}*"/></role>`),
    usersXml(`<user name="${secret} "/>`),
    usersXml(`<user ${secret}/>`),
    usersXml(`<user name="a"></${secret}>`),
    `${usersXml('')}${secret}`,
  ]
  for (const text of texts) {
    const faults = faultsOf(text)
    assert.ok(faults.length > 0, text)
    for (const { message } of faults) assert.ok(!/dbk_|0123456789/.test(message), message)
  }
})

test('a file is refused when no usable administrator is left, unless the admin token exists', () => {
  const file = (user: string) =>
    usersXml(
      `<role name="boss"><allow actions="administer"/></role>\n<role name="not"><deny actions="administer"/></role>\n${user}`,
    )
  const token = (expires: string) => `<token id="t" sha256="${HASH}" ${expires}/>`
  const left = [
    `<user name="a" roles="boss">${token('')}</user>`,
    `<user name="a" roles="boss"><certificate sha256="${HASH}"/></user>`,
    `<user name="a">${token('expires="2026-11-20T10:00:01Z"')}<allow actions="administer"/></user>`,
  ]
  const gone = [
    '',
    '<user name="a" roles="boss"/>',
    `<user name="a" roles="boss">${token('expires="2026-11-20T10:00:00Z"')}</user>`,
    `<user name="a" roles="boss not">${token('')}</user>`,
    `<user name="a" roles="boss">${token('')}<deny actions="observe administer"/></user>`,
    `<user name="a">${token('')}</user>`,
    `<user name="a" roles="boss"><curve-key public="${'0'.repeat(40)}"/></user>`,
    '<anonymous roles="boss"/>',
  ]
  for (const user of left) assert.deepEqual(faultsOf(file(user), false), [], user)
  for (const user of gone) {
    assert.deepEqual(faultsOf(file(user), true), [], user)
    const [fault, ...others] = faultsOf(file(user), false)
    assert.ok(fault?.message.startsWith('no usable administrator'), user)
    assert.deepEqual([fault?.line, fault?.column, others.length], [1, 1, 0])
  }
})

test('a file that is too large is refused before it is read', () => {
  const bytes = new Uint8Array(4 * 1024 * 1024 + 1).fill(0x20)
  const file = parseUsersFile(bytes, RULES)
  assert.ok(!file.ok && file.error[0]?.message.includes('larger than'))
})

test('bytes of other encodings are refused with the place of the first', () => {
  const at = (bytes: Uint8Array) => {
    const file = parseUsersFile(bytes, RULES)
    assert.ok(!file.ok)
    return file.error.map(({ line, column }) => `${line}:${column}`)
  }
  assert.deepEqual(at(Buffer.from(`\ufeff${USERS_XML}`, 'utf16le')), ['1:1'])
  assert.deepEqual(at(Buffer.from('<a>\r\n <é/>\n</a>', 'latin1')), ['2:3'])
  assert.deepEqual(at(Buffer.from([0x3c, 0xc0, 0x80])), ['1:2'])
})

test('a file with very many faults answers with a bounded list that says so', () => {
  const faults = faultsOf(usersXml('<x/>\n'.repeat(5000)))
  assert.equal(faults.length, 1001)
  assert.equal(faults.at(-1)?.message, '4000 more faults are not listed')
})

function isSound(bytes: Uint8Array): boolean {
  const file = parseUsersFile(bytes, RULES)
  if (file.ok) return Array.isArray(file.value.users)
  return (
    file.error.length > 0 &&
    file.error.every(({ message, line, column }) => message !== '' && line >= 1 && column >= 1)
  )
}

test('random bytes and random text never throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), isSound), { numRuns: 500 })
  const text = fc.string({ unit: 'binary', maxLength: 200 })
  fc.assert(
    fc.property(text, (inner) => isSound(Buffer.from(usersXml(inner)))),
    { numRuns: 500 },
  )
  const markup = fc.array(
    fc.constantFrom(
      '<',
      '>',
      '/',
      '"',
      "'",
      '=',
      ' ',
      '\n',
      '&',
      ';',
      '!',
      '--',
      '?',
      '[',
      ']',
      'user',
      'name',
      'a',
      'xml',
      'CDATA',
      'amp',
    ),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(markup, (parts) => isSound(Buffer.from(usersXml(parts.join(''))))),
    { numRuns: 2000 },
  )
})

test('a valid file with random damage never throws', () => {
  const bytes = Buffer.from(USERS_XML)
  const damage = fc.record({
    at: fc.nat({ max: bytes.length }),
    drop: fc.nat({ max: 40 }),
    put: fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc
        .constantFrom('<', '>', '"', '&', '/>', '<a>', '</user>', '<!--', '-->', 'x', '${')
        .map((s) => Buffer.from(s)),
    ),
  })
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
      let text: Buffer = bytes
      for (const { at, drop, put } of damages) {
        text = Buffer.concat([text.subarray(0, at), put, text.subarray(at + drop)])
      }
      return isSound(text)
    }),
    { numRuns: 2000 },
  )
})

test('a file cut at any byte is refused', () => {
  const bytes = Buffer.from(USERS_XML.trimEnd())
  for (let length = 0; length < bytes.length; length += 1) {
    assert.ok(!parseUsersFile(bytes.subarray(0, length), RULES).ok, `cut at ${length}`)
  }
})
