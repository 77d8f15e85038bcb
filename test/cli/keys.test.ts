import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { runBroker } from './broker-process.ts'

async function place() {
  const cwd = await mkdtemp(join(tmpdir(), 'broker-'))
  return { cwd, [Symbol.asyncDispose]: () => rm(cwd, { recursive: true }) }
}

test('keys makes the pair once, prints the public key and keeps the other to itself', async () => {
  await using here = await place()
  const { cwd } = here
  const first = await runBroker(['keys'], { cwd })
  assert.deepEqual([first.code, first.stderr], [0, ''])
  const file = join(cwd, 'data/state/curve.key')
  const { publicKey, secretKey } = JSON.parse(await readFile(file, 'utf8'))
  assert.equal(first.stdout, `${publicKey}\n`)
  assert.match(publicKey, /^[!-~]{40}$/)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const second = await runBroker(['keys', '--json'], { cwd })
  assert.deepEqual(second, { code: 0, stdout: `${JSON.stringify({ publicKey })}\n`, stderr: '' })
  assert.ok(!second.stdout.includes(secretKey))
})

test('keys prints what a running broker shows to its clients', async () => {
  await using broker = await startGateway({ zmqSession: 'tcp://127.0.0.1:0?security=curve' })
  const { stdout } = await runBroker(['keys'], { cwd: broker.directory })
  assert.equal(stdout, `${broker.gateway.curvePublicKey}\n`)
})

test('keys says which file it cannot read, and nothing of what is in it', async () => {
  await using here = await place()
  await runBroker(['keys'], here)
  for (const text of ['{"secretKey":"not-for-others"}', 'not-for-others', 'null', '']) {
    await writeFile(join(here.cwd, 'data/state/curve.key'), text)
    const { code, stdout, stderr } = await runBroker(['keys'], here)
    assert.notEqual(code, 0)
    assert.equal(stdout, '')
    assert.match(stderr, /curve\.key cannot be read; delete the file for new ones/)
    assert.doesNotMatch(stderr, /not-for/)
  }
})
