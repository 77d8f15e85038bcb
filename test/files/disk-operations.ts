import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'

/** One thing that somebody does to the disk; it may fail, as theirs do. */
export type Operation = (root: string) => void

const names = ['a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a', 'd/e/f/a', 'g', 'g/a', 'g/b', 'g.x']
export const anyPath = fc.constantFrom(...names)
export const anyText = fc.constantFrom('', 'x', 'y', 'zz', 'long '.repeat(50))

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  written('create', (file, text) => writeFileSync(file, text)),
  written('append', (file, text) => appendFileSync(file, text)),
  written('make directories and write', (file, text) => {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }),
  written('replace', (file, text) => {
    writeFileSync(join(dirname(file), '.new'), text)
    renameSync(join(dirname(file), '.new'), file)
  }),
  written('delete and make again', (file, text) => {
    rmSync(file)
    writeFileSync(file, text)
  }),
  touching('truncate', (file) => truncateSync(file, 1)),
  touching('chmod', (file) => chmodSync(file, 0o640)),
  touching('utimes', (file) => utimesSync(file, 1, 1)),
  touching('remove', (file) => rmSync(file, { recursive: true })),
  touching('make a directory', (file) => mkdirSync(file, { recursive: true })),
  touching('move out', (file) => renameSync(file, join(dirname(dirname(file)), '~out'))),
  between('move', (from, to) => renameSync(from, to)),
  between('hard link', (from, to) => linkSync(from, to)),
  between('symbolic link', (from, to) => symlinkSync(from, to)),
)

function named(name: string, run: Operation): Operation {
  return Object.assign(run, { toString: () => name })
}

function written(name: string, run: (file: string, text: string) => void) {
  return fc
    .tuple(anyPath, anyText)
    .map(([path, text]) => named(`${name} ${path}`, (root) => run(join(root, path), text)))
}

function touching(name: string, run: (file: string) => void) {
  return anyPath.map((path) => named(`${name} ${path}`, (root) => run(join(root, path))))
}

function between(name: string, run: (from: string, to: string) => void) {
  return fc
    .tuple(anyPath, anyPath)
    .map(([a, b]) => named(`${name} ${a} ${b}`, (root) => run(join(root, a), join(root, b))))
}

export function operate(root: string, operations: readonly Operation[]): void {
  for (const run of operations) {
    try {
      run(root)
    } catch (error) {
      assert.ok(error instanceof Error && 'code' in error, String(error))
    }
  }
}
