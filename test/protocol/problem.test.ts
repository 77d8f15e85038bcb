import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { BrokerError, isProblemCode, PROBLEMS, toProblem } from '../../src/protocol/problem.ts'

test('the page of problems has one heading for each code, in the order of the table', async () => {
  const page = await readFile(new URL('../../docs/problems.md', import.meta.url), 'utf8')
  const headings = [...page.matchAll(/^## (.+)$/gm)].map(([, code]) => code)
  assert.deepEqual(headings, Object.keys(PROBLEMS))
})

test('the page of problems states status and title of each code', async () => {
  const page = await readFile(new URL('../../docs/problems.md', import.meta.url), 'utf8')
  for (const [code, { status, title }] of Object.entries(PROBLEMS)) {
    assert.ok(page.includes(`## ${code}\n\n${status}, ${title}. `), code)
  }
})

test('a known error is told with its fields, an unknown one without a word', () => {
  const known = new BrokerError('FORBIDDEN', 'no', { fields: { missing: 'read' } })
  assert.deepEqual(toProblem(known, 'http://b'), {
    type: 'http://b/problems/FORBIDDEN',
    title: 'Not allowed',
    status: 403,
    code: 'FORBIDDEN',
    detail: 'no',
    missing: 'read',
  })
  const unknown = toProblem(new Error('secret /path'))
  assert.deepEqual(unknown, {
    type: '/problems/INTERNAL',
    title: 'Internal error',
    status: 500,
    code: 'INTERNAL',
  })
})

test('only codes of the table are codes', () => {
  assert.ok(isProblemCode('FORBIDDEN'))
  for (const text of ['toString', '', 'forbidden', 7]) assert.ok(!isProblemCode(text))
})
