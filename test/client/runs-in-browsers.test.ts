import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const NODE_ONLY =
  /from 'node:|import\('node:|\b(?:process|Buffer|setImmediate|require|global)\b[.(]/

test('the SDK and what it imports use nothing that only Node has', () => {
  const cwd = new URL('../../src', import.meta.url)
  const files = globSync('{client,protocol}/**/*.ts', { cwd })
  assert.ok(files.length > 20)
  for (const file of files) {
    const text = readFileSync(new URL(`../../src/${file}`, import.meta.url), 'utf8')
    assert.doesNotMatch(text, NODE_ONLY, file)
    const packages = [...text.matchAll(/from '([^.'][^']*)'/g)].map(([, name]) => name)
    assert.deepEqual(packages, [], file)
  }
})
