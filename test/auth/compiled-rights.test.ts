import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CompiledRights } from '../../src/auth/rights/compiled-rights.ts'
import type { Grant } from '../../src/auth/rights/grants.ts'
import type { GrantKind } from '../../src/auth/users-file/users-file.ts'
import { tableOf, USERS_XML } from './users-fixture.ts'

/** All names of up to four segments of these letters, of which patterns use the first two. */
const LETTERS = ['a', 'config', 'z']
const NAMES = namesUpTo(4).filter((name) => name.length > 0)

function namesUpTo(depth: number): readonly (readonly string[])[] {
  if (depth === 0) return [[]]
  const shorter = namesUpTo(depth - 1)
  const longest = shorter.filter((name) => name.length === depth - 1)
  return [...shorter, ...longest.flatMap((name) => LETTERS.map((letter) => [...name, letter]))]
}

/** The meaning of a pattern, written apart from the code under test. */
function stands(pattern: readonly string[], name: readonly string[]): boolean {
  const [segment, ...rest] = pattern
  if (segment === undefined) return name.length === 0
  if (segment === '**') return true
  const [first, ...others] = name
  return first !== undefined && (segment === '*' || segment === first) && stands(rest, others)
}

function setOf(pattern: string): ReadonlySet<string> {
  const segments = pattern.split('/')
  return new Set(NAMES.filter((name) => stands(segments, name)).map((name) => name.join('/')))
}

const pattern = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'config', '*'), { maxLength: 3 }),
    fc.constantFrom('a', 'config', '*', '**'),
  )
  .map(([head, last]) => [...head, last].slice(-3).join('/'))

function grantsOf(kind: GrantKind): fc.Arbitrary<readonly Grant[]> {
  const grant = fc.record({
    effect: fc.constantFrom('allow', 'allow', 'deny'),
    actions: fc.constant(kind === 'topics' ? (['publish'] as const) : (['read'] as const)),
    kind: fc.constant(kind),
    pattern,
    source: fc.constant({ kind: 'role', name: 'r' } as const),
    line: fc.constant(1),
  }) as fc.Arbitrary<Grant>
  return fc.array(grant, { maxLength: 4 })
}

function grant(text: string): Grant {
  const [effect, action, resource = ''] = text.split(' ')
  const isTopic = action === 'publish' || action === 'subscribe'
  return {
    effect: effect === 'deny' ? 'deny' : 'allow',
    actions: [action as 'read'],
    kind: resource === '' ? 'broker' : isTopic ? 'topics' : 'files',
    pattern: resource,
    source: { kind: 'role', name: 'r' },
    line: 1,
  }
}

function rights(...grants: readonly string[]): CompiledRights {
  return new CompiledRights(grants.map(grant))
}

test('may, overlaps and covers of topics agree with sets of names', () => {
  fc.assert(
    fc.property(grantsOf('topics'), pattern, (grants, filter) => {
      const compiled = new CompiledRights(grants)
      const sets = grants.map(({ effect, pattern }) => ({ effect, set: setOf(pattern) }))
      const [allows, denies] = [
        sets.filter(({ effect }) => effect === 'allow').map(({ set }) => set),
        sets.filter(({ effect }) => effect === 'deny').map(({ set }) => set),
      ]
      const asked = setOf(filter)
      const isAllowed = (name: string) =>
        allows.some((set) => set.has(name)) && !denies.some((set) => set.has(name))
      for (const segments of NAMES) {
        const name = segments.join('/')
        assert.equal(compiled.may('publish', name), isAllowed(name), name)
        assert.equal(compiled.explain('publish', name).allowed, isAllowed(name), name)
      }
      assert.equal(
        compiled.overlaps('publish', filter),
        allows.some((set) => !set.isDisjointFrom(asked)) &&
          !denies.some((set) => asked.isSubsetOf(set)),
      )
      assert.equal(
        compiled.covers('publish', filter),
        allows.some((set) => asked.isSubsetOf(set)) &&
          !denies.some((set) => !set.isDisjointFrom(asked)),
      )
    }),
    { numRuns: 300 },
  )
})

test('what is covered is allowed whole, and what is allowed in part overlaps', () => {
  const isConfig = (name: string) => name === 'config' || name.startsWith('config/')
  fc.assert(
    fc.property(grantsOf('files'), fc.boolean(), pattern, (grants, isAdmin, filter) => {
      const administer = isAdmin ? [grant('allow administer')] : []
      const compiled = new CompiledRights([...grants, ...administer])
      const names = [...setOf(filter)]
      // A filter speaks of the volume `config` only when it names it.
      const meant = isConfig(filter) ? names : names.filter((name) => !isConfig(name))
      if (compiled.covers('read', filter)) {
        assert.ok(meant.every((name) => compiled.may('read', name)))
      }
      if (names.some((name) => compiled.may('read', name))) {
        assert.ok(compiled.overlaps('read', filter))
      }
      for (const name of names.filter(isConfig)) assert.equal(compiled.may('read', name), isAdmin)
    }),
    { numRuns: 500 },
  )
})

test('without a grant nothing is allowed', () => {
  const none = rights()
  assert.equal(none.may('publish', 'a'), false)
  assert.equal(none.may('administer'), false)
  assert.equal(none.overlaps('subscribe', '**'), false)
  assert.equal(none.covers('list', 'a'), false)
})

test('a deny wins over every allow, in whatever order', () => {
  for (const ones of [
    rights('allow read **', 'deny read a/*', 'allow read a/b'),
    rights('deny read a/*', 'allow read a/b', 'allow read **'),
  ]) {
    assert.equal(ones.may('read', 'a/b'), false)
    assert.equal(ones.may('read', 'a/b/c'), true)
    assert.equal(ones.covers('read', 'a/**'), false)
    assert.equal(ones.overlaps('read', 'a/**'), true)
    assert.equal(ones.overlaps('read', 'a/*'), false)
  }
  assert.equal(rights('allow observe', 'deny observe').may('observe'), false)
})

test('a grant holds for its own actions alone', () => {
  const ones = rights('allow create a/**', 'allow publish a/**')
  assert.equal(ones.may('create', 'a/b'), true)
  for (const action of ['list', 'read', 'replace', 'delete', 'subscribe'] as const) {
    assert.equal(ones.may(action, 'a/b'), false)
  }
})

test('a path is taken literally, asterisks included', () => {
  const ones = rights('allow read a/**', 'deny read a/secret/*')
  assert.equal(ones.may('read', 'a/secret/**'), false)
  assert.equal(ones.may('read', 'a/secret/*'), false)
  assert.equal(rights('allow read a/b').may('read', 'a/*'), false)
  assert.equal(rights('allow read a/b').may('read', '**'), false)
})

test('a pattern does not reach names that merely begin like it', () => {
  const ones = rights('allow read a/b/**', 'allow publish a/b')
  assert.equal(ones.may('read', 'a/b'), true)
  assert.equal(ones.may('read', 'a/bc'), false)
  assert.equal(ones.may('publish', 'a/b/c'), false)
})

test('the volume of the users file is reached by administer and by no grant on files', () => {
  const file = 'config/broker_users.xml'
  const reader = rights(
    'allow read **',
    'allow read config/**',
    'allow read config/broker_users.xml',
  )
  const boss = rights('allow administer', 'deny read **')
  for (const path of ['config', file]) {
    assert.equal(reader.may('read', path), false)
    assert.equal(reader.overlaps('read', path), false)
    assert.equal(reader.covers('read', path), false)
    assert.equal(boss.may('replace', path), true)
    assert.equal(boss.covers('list', path), true)
  }
  assert.equal(reader.overlaps('read', 'config/**'), false)
  assert.equal(boss.overlaps('list', '**'), true)
  assert.equal(boss.may('read', 'configuration/x'), false)
  assert.equal(rights('allow read config/*').overlaps('read', '*/x'), false)
  assert.equal(rights('allow publish config/**').may('publish', 'config/x'), true)
})

test('an explanation names the grant that decided, and agrees with the decision', () => {
  const jenkins = tableOf(USERS_XML).rightsOf('jenkins')
  const told = (action: 'create' | 'read' | 'administer', path?: string) => {
    const { allowed, grant } = jenkins?.explain(action, path) ?? {}
    return [allowed, grant?.effect, grant?.source, grant?.pattern, grant?.line]
  }
  assert.deepEqual(told('create', 'builds/jenkins/x'), [
    true,
    'allow',
    { kind: 'role', name: 'ci' },
    'builds/jenkins/**',
    10,
  ])
  assert.deepEqual(told('create', 'builds/jenkins/release/x'), [
    false,
    'deny',
    { kind: 'user', name: 'jenkins' },
    'builds/jenkins/release/**',
    29,
  ])
  assert.deepEqual(told('read', 'other'), [false, undefined, undefined, undefined, undefined])
  assert.equal(told('administer')[0], false)
  assert.equal(rights('allow administer').explain('read', 'config/x').grant?.kind, 'broker')
})
