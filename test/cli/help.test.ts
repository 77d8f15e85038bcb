import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { COMMANDS } from '../../src/cli/commands.ts'
import { runBroker } from './broker-process.ts'

test('every command has a help that shows its usage, and takes no token', async () => {
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    const help = await (await load()).help()
    assert.ok(help.startsWith(`Usage: broker ${name}`), name)
    assert.ok(!/--token\b/.test(help), name)
  }
})

test('help goes to stdout and ends with 0, in all its forms', async () => {
  for (const args of [
    ['--help'],
    ['-h'],
    ['help'],
    ['put', '--help'],
    ['help', 'put'],
    ['token', '-h'],
  ]) {
    const { code, stdout, stderr } = await runBroker(args)
    assert.equal(code, 0, args.join(' '))
    assert.match(stdout, /^Usage: broker/)
    assert.equal(stderr, '')
  }
})

test('the version is that of the package', async () => {
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  )
  assert.deepEqual(await runBroker(['--version']), {
    code: 0,
    stdout: `broker ${version}\n`,
    stderr: '',
  })
})

for (const args of [
  [],
  ['nonsense'],
  ['token'],
  ['token', 'nonsense'],
  ['put', 'only-one'],
  ['publish', 'a', '--token', 'dbk_x'],
  ['ls', '--retry', 'x'],
  ['ls', '--timeout', '0'],
  ['ls', '--url', 'ftp://x'],
  ['subscribe', 'a', '--count', '0'],
  ['rm', 'a/'],
  ['publish', 'a', '1', '--ndjson'],
  ['publish', 'a', '--ndjson', '--id', '1'],
  ['put', '-', 'a/'],
  ['check', 'jenkins', 'fly', 'x'],
  ['check', 'jenkins', 'publish'],
  ['token', 'create'],
  ['token', 'create', '--user', 'x', '--expires', 'soon'],
  ['config', '--lissen', 'x'],
  ['nginx'],
]) {
  test(`"broker ${args.join(' ')}" is wrong usage`, async () => {
    const { code, stdout, stderr } = await runBroker(args)
    assert.equal(code, 2, stderr)
    assert.equal(stdout, '')
    assert.match(stderr, /^broker: .*\n(broker: .*\n)*Try: broker( \w+){0,2} --help\n$/)
  })
}

test('the hint of wrong usage leads to a help that there is', async () => {
  for (const [args, help] of [
    [['nonsense'], 'broker --help'],
    [['help', 'nonsense'], 'broker --help'],
    [['nonsense', 'ls'], 'broker --help'],
    [['token', 'nonsense'], 'broker token --help'],
    [['ls', '--nonsense'], 'broker ls --help'],
    [['token', 'create', '--nonsense'], 'broker token create --help'],
  ] as const) {
    const { stderr } = await runBroker(args)
    assert.ok(stderr.endsWith(`\nTry: ${help}\n`), stderr)
  }
})

test('a name that is not well formed is wrong usage, with the rule it breaks', async () => {
  const { code, stderr } = await runBroker(['subscribe', 'a/../b'])
  assert.equal(code, 2)
  assert.equal(stderr, 'broker: filter: bad segment ".." (FILTER_INVALID)\n')
})
