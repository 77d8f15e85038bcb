import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArguments } from '../../src/cli/command.ts'

const spec = {
  usage: 'broker x A [B]',
  options: {
    name: { type: 'string', value: 'NAME', help: '' },
    many: { type: 'boolean', short: 'm', help: '' },
  },
  positionals: [1, 2],
} as const

function parse(...argv: string[]) {
  const { options, positionals } = parseArguments(spec, argv)
  return [{ ...options }, positionals]
}

test('options and arguments are told apart in any order', () => {
  assert.deepEqual(parse('a', '--name', 'n', '-m', 'b'), [{ name: 'n', many: true }, ['a', 'b']])
  assert.deepEqual(parse('--name=n', 'a'), [{ name: 'n' }, ['a']])
  assert.deepEqual(parse('-', '--', '--name'), [{}, ['-', '--name']])
})

for (const argv of [[], ['a', 'b', 'c'], ['a', '--nam', 'n'], ['a', '--name'], ['a', '-m=1']]) {
  test(`"${argv.join(' ')}" is wrong usage`, () => {
    assert.throws(() => parse(...argv), { name: 'UsageError' })
  })
}
