import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, sep } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What a folder may import beside itself: other folders, or single files of them. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  database: ['protocol'],
  auth: ['protocol'],
  events: ['protocol', 'database', 'auth/principal.ts'],
  files: ['protocol', 'database', 'auth/principal.ts'],
  gateway: ['protocol', 'database', 'auth', 'events', 'files'],
  client: ['protocol'],
  cli: ['client', 'protocol', 'auth', 'gateway'],
}

const MOST_LINES = 400

interface SourceFile {
  /** Below `src`, e.g. `auth/principal.ts`. */
  readonly name: string
  readonly text: string
}

interface Import {
  readonly from: string
  readonly line: number
  /** As written: `node:fs`, `fastify`, `../protocol/topic.ts`. */
  readonly specifier: string
  /** Below `src`, of a relative one. */
  readonly to: string | undefined
}

const SPECIFIER =
  /(?:^(?:import|export)\b[^'"`;]*?\bfrom\s+|^import\s+|\bimport\(\s*)(['"])([^'"\n]+)\1/gm

function importsOf({ name, text }: SourceFile): readonly Import[] {
  return [...text.matchAll(SPECIFIER)].map((match) => {
    const specifier = match[2] ?? ''
    const line = text.slice(0, match.index + match[0].length).split('\n').length
    const to = specifier.startsWith('.')
      ? normalize(join(dirname(name), specifier)).replaceAll(sep, '/')
      : undefined
    return { from: name, line, specifier, to }
  })
}

function folderOf(name: string): string {
  return name.split('/')[0] ?? ''
}

/** Why an import is against the table, or undefined. */
function fault({ from, specifier, to }: Import): string | undefined {
  const folder = folderOf(from)
  const allowed = MAY_IMPORT[folder]
  if (allowed === undefined) return `src/${folder} has no row in the import table`
  if (to === undefined) {
    return folder === 'protocol' && specifier.startsWith('node:')
      ? `protocol imports ${specifier}, but nothing of Node`
      : undefined
  }
  if (folderOf(to) === folder || allowed.includes(folderOf(to)) || allowed.includes(to)) {
    return undefined
  }
  return `${folder} imports ${to}, but only ${allowed.join(', ') || 'itself'}`
}

/** The import that closes a cycle, with the files on it, or undefined. */
function findCycle(files: readonly SourceFile[]): string | undefined {
  const imports = new Map(files.map((file) => [file.name, importsOf(file)]))
  const done = new Set<string>()
  const visit = (name: string, path: readonly string[]): string | undefined => {
    for (const { to, line } of imports.get(name) ?? []) {
      if (to === undefined || done.has(to)) continue
      const start = [...path, name].indexOf(to)
      if (start !== -1) {
        const cycle = [...path, name].slice(start)
        return `src/${name}:${line}: closes the cycle ${[...cycle, to].join(' -> ')}`
      }
      const found = visit(to, [...path, name])
      if (found !== undefined) return found
    }
    done.add(name)
    return undefined
  }
  for (const { name } of files) {
    const found = visit(name, [])
    if (found !== undefined) return found
  }
  return undefined
}

function readSources(): readonly SourceFile[] {
  return globSync('src/**/*.ts', { cwd: ROOT })
    .map((path) => path.replaceAll(sep, '/'))
    .sort()
    .map((path) => ({
      name: path.slice('src/'.length),
      text: readFileSync(join(ROOT, path), 'utf8'),
    }))
}

describe('the sources', () => {
  const files = readSources()

  it('import along the directions of the architecture only', () => {
    const faults = files.flatMap(importsOf).flatMap((each) => {
      const reason = fault(each)
      return reason === undefined ? [] : [`src/${each.from}:${each.line}: ${reason}`]
    })
    assert.deepEqual(faults, [], faults.join('\n'))
  })

  it('import each other without a cycle', () => {
    const cycle = findCycle(files)
    assert.equal(cycle, undefined, cycle)
  })

  it(`have fewer than ${MOST_LINES} lines each`, () => {
    const long = files
      .map(({ name, text }) => ({ name, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines >= MOST_LINES)
      .map(({ name, lines }) => `src/${name}:${lines}: is ${lines} lines long`)
    assert.deepEqual(long, [], long.join('\n'))
  })
})

describe('the guard itself', () => {
  const file = (name: string, ...lines: readonly string[]): SourceFile => ({
    name,
    text: lines.join('\n'),
  })

  it('finds imports of every form, with their line', () => {
    const source = file(
      'events/a.ts',
      "import './side-effect.ts'",
      "import type { A } from '../auth/principal.ts'",
      'import {',
      '  b,',
      '  type C,',
      "} from '../files/b.ts'",
      "export { d } from './d.ts'",
      "const e = await import('node:fs')",
      "type F = import('../protocol/f.ts').F",
      "const text = 'from nowhere'",
    )
    assert.deepEqual(
      importsOf(source).map(({ line, to, specifier }) => [line, to ?? specifier]),
      [
        [1, 'events/side-effect.ts'],
        [2, 'auth/principal.ts'],
        [6, 'files/b.ts'],
        [7, 'events/d.ts'],
        [8, 'node:fs'],
        [9, 'protocol/f.ts'],
      ],
    )
  })

  it('refuses what the table does not allow', () => {
    const refused: readonly (readonly [from: string, specifier: string])[] = [
      ['protocol/a.ts', 'node:fs'],
      ['protocol/a.ts', '../auth/principal.ts'],
      ['events/a.ts', '../files/file-change.ts'],
      ['files/a.ts', '../events/event-log.ts'],
      ['events/a.ts', '../auth/users.ts'],
      ['auth/a.ts', '../gateway/settings.ts'],
      ['client/a.ts', '../auth/principal.ts'],
      ['gateway/a.ts', '../client/connection.ts'],
      ['gateway/a.ts', '../cli/main.ts'],
      ['other/a.ts', '../protocol/topic.ts'],
    ]
    for (const [from, specifier] of refused) {
      const [found] = importsOf(file(from, `import { x } from '${specifier}'`))
      assert.ok(found !== undefined && fault(found) !== undefined, `${from} imports ${specifier}`)
    }
    const allowed: readonly (readonly [from: string, specifier: string])[] = [
      ['events/a.ts', '../auth/principal.ts'],
      ['files/a.ts', '../database/database.ts'],
      ['cli/a.ts', '../gateway/settings.ts'],
      ['protocol/a.ts', 'typebox'],
    ]
    for (const [from, specifier] of allowed) {
      const [found] = importsOf(file(from, `import { x } from '${specifier}'`))
      assert.equal(found && fault(found), undefined, `${from} imports ${specifier}`)
    }
  })

  it('tells the files on a cycle', () => {
    const files = [
      file('a/x.ts', "import '../b/y.ts'"),
      file('b/y.ts', '', "import type { Z } from './z.ts'"),
      file('b/z.ts', "import '../a/x.ts'"),
    ]
    assert.equal(
      findCycle(files),
      'src/b/z.ts:1: closes the cycle a/x.ts -> b/y.ts -> b/z.ts -> a/x.ts',
    )
    assert.equal(findCycle(files.slice(0, 2)), undefined)
  })
})
