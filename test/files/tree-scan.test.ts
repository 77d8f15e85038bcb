import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { chmod, link, lstat, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Fingerprint, fingerprintOf } from '../../src/files/fingerprint.ts'
import { isHiddenName } from '../../src/files/volumes/volume.ts'
import { packFingerprints, unpackFingerprint } from '../../src/files/watch/tree-batch.ts'
import { HIDDEN_NAMES, type TreeNameRules, TreeNames } from '../../src/files/watch/tree-names.ts'
import { TreeScan } from '../../src/files/watch/tree-scan.ts'

const RULES: TreeNameRules = { prefix: '', excluded: [], hidden: HIDDEN_NAMES }

async function temporaryTree() {
  const root = await mkdtemp(join(tmpdir(), 'broker-'))
  return {
    root,
    async write(...names: readonly string[]): Promise<void> {
      for (const name of names) {
        await mkdir(dirname(join(root, name)), { recursive: true })
        await writeFile(join(root, name), name)
      }
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  }
}

function walk(root: string, path = '', rules = RULES) {
  const scan = new TreeScan(new TreeNames(rules), root, path)
  const found: { path: string; fingerprint: Fingerprint }[] = []
  const unreadable: string[] = []
  let batches = 0
  for (let batch = scan.next(); batch !== undefined; batch = scan.next()) {
    batches += 1
    unreadable.push(...batch.unreadable)
    for (const [i, of] of batch.paths.entries()) {
      found.push({ path: of, fingerprint: unpackFingerprint(batch.numbers, i) })
    }
  }
  return { found, paths: found.map((one) => one.path), counts: scan.counts, unreadable, batches }
}

test('a walk gives every file with its fingerprint, in the order of paths by bytes', async () => {
  await using tree = await temporaryTree()
  // `.` and `-` come before `/`; U+FF5E is more than U+1F600 in UTF-16 and less in UTF-8.
  await tree.write('a/x', 'a/b/c', 'a.b', 'a-b', 'ab', 'B', '\uff5e', '\u{1f600}/y', 'é')
  const { found, paths, counts } = walk(tree.root)
  const sorted = paths.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  assert.deepEqual(paths, sorted)
  assert.equal(paths.length, 9)
  assert.equal(counts.files, 9)
  assert.equal(counts.directories, 4)
  for (const { path, fingerprint } of found) {
    const stats = await lstat(join(tree.root, path), { bigint: true })
    assert.deepEqual(fingerprint, fingerprintOf(stats))
  }
})

test('a walk of a directory gives what is below it, under full paths', async () => {
  await using tree = await temporaryTree()
  await tree.write('a/x', 'a/b/c', 'b/x')
  assert.deepEqual(walk(tree.root, 'a').paths, ['a/b/c', 'a/x'])
  assert.deepEqual(walk(tree.root, 'vol/a', { ...RULES, prefix: 'vol' }).paths, [
    'vol/a/b/c',
    'vol/a/x',
  ])
  assert.deepEqual(walk(tree.root, 'none').paths, [])
  assert.deepEqual(walk(tree.root, 'a/x').paths, [])
})

test('hidden names and the names of other volumes are left out without a count', async () => {
  await using tree = await temporaryTree()
  await tree.write('.git/config', '~x', 'x.part', 'd.tmp/y', 'd/.z', 'config/f', 'd/config/f', 'k')
  const { paths, counts } = walk(tree.root, '', { ...RULES, excluded: ['config'] })
  assert.deepEqual(paths, ['d/config/f', 'k'])
  assert.equal(counts.unaddressable, 0)
})

test('the default of hidden names is that of volumes', () => {
  for (const name of ['.a', '~a', 'a.part', 'a.tmp', 'a', 'a.parts', 'a~', 'a.', 'part', 'tmp']) {
    assert.equal(HIDDEN_NAMES.test(name), isHiddenName(name), name)
  }
})

test('links and special files are counted and never followed', async () => {
  await using tree = await temporaryTree()
  await tree.write('a/x')
  await symlink('/etc', join(tree.root, 'etc'))
  await symlink('a/x', join(tree.root, 'y'))
  await link(join(tree.root, 'a/x'), join(tree.root, 'z'))
  execFileSync('mkfifo', [join(tree.root, 'pipe')])
  const { paths, counts } = walk(tree.root)
  assert.deepEqual(paths, ['a/x', 'z'])
  assert.equal(counts.links, 2)
  assert.equal(counts.special, 1)
})

test('names outside the rules of paths are counted and reported', async () => {
  await using tree = await temporaryTree()
  const bad = ['e\u0301', 'a\\b', 'new\nline', 'bidi\u202e']
  await tree.write('good', ...bad, 'd\u0007/below')
  const { paths, counts } = walk(tree.root)
  assert.deepEqual(paths, ['good'])
  assert.equal(counts.unaddressable, 5)
  assert.ok(counts.examples.includes('d\u0007/'))
})

test('names that are not UTF-8 are counted, and one that holds U+FFFD is taken', async () => {
  await using tree = await temporaryTree()
  await tree.write('\ufffd', 'x')
  writeFileSync(Buffer.concat([Buffer.from(`${tree.root}/`), Buffer.from([0xff])]), 'lossy')
  writeFileSync(Buffer.concat([Buffer.from(`${tree.root}/`), Buffer.from([0x61, 0xfe])]), 'lossy')
  const { paths, counts } = walk(tree.root)
  assert.deepEqual(paths, ['x', '\ufffd'])
  assert.equal(counts.unaddressable, 2)
})

test('a path deeper or longer than paths may be is unaddressable', async () => {
  await using tree = await temporaryTree()
  const deep = Array.from({ length: 32 }, (_, i) => `d${i}`).join('/')
  await tree.write(`${deep}/too-deep`)
  const { paths, counts } = walk(tree.root)
  assert.deepEqual(paths, [])
  assert.equal(counts.unaddressable, 1)
})

test('a directory that cannot be read is said to be unknown, not empty', async (t) => {
  if (process.getuid?.() === 0) return t.skip('root may read everything')
  await using tree = await temporaryTree()
  await tree.write('closed/x', 'open/y')
  await chmod(join(tree.root, 'closed'), 0)
  const { paths, unreadable, counts } = walk(tree.root)
  await chmod(join(tree.root, 'closed'), 0o700)
  assert.deepEqual(paths, ['open/y'])
  assert.deepEqual(unreadable, ['closed'])
  assert.equal(counts.unreadable, 1)
})

test('a large tree comes in batches', async () => {
  await using tree = await temporaryTree()
  for (let d = 0; d < 3; d += 1) {
    await mkdir(join(tree.root, `d${d}`))
    for (let f = 0; f < 700; f += 1) writeFileSync(join(tree.root, `d${d}`, `f${f}`), '')
  }
  const { paths, batches } = walk(tree.root)
  assert.equal(new Set(paths).size, 2100)
  assert.equal(batches, 3)
})

test('fingerprints survive being packed', () => {
  const unsigned = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  const time = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n })
  const numbers = { dev: unsigned, ino: unsigned, size: fc.maxSafeNat(), mtimeNs: time }
  const fingerprint = fc.record({ ...numbers, ctimeNs: time }, { noNullPrototype: true })
  fc.assert(
    fc.property(fc.array(fingerprint), (all) => {
      const packed = packFingerprints(all)
      assert.deepEqual(
        all.map((_, i) => unpackFingerprint(packed, i)),
        all,
      )
    }),
  )
})
