import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runBroker } from './broker-process.ts'

test('config prints what is in force, as lines or as a settings file', async () => {
  const env = { BROKER_LISTEN: '127.0.0.1:9999' }
  const lines = await runBroker(['config', '--workers', '0'], { env })
  assert.equal(lines.code, 0, lines.stderr)
  assert.match(lines.stdout, /^--listen +127\.0\.0\.1:9999$/m)
  const { stdout } = await runBroker(['config', '--json', '--history-age=2h'], { env })
  const { listen, historyAge } = JSON.parse(stdout)
  assert.deepEqual([listen, historyAge], ['127.0.0.1:9999', '2h'])
})

test('every fault of the settings is told', async () => {
  const env = { BROKER_LISTEN: 'nowhere' }
  const { code, stderr } = await runBroker(['config', '--settle', 'x'], { env })
  assert.equal(code, 2)
  assert.match(stderr, /BROKER_LISTEN/)
  assert.match(stderr, /--settle/)
})

test('nginx writes its configuration into a directory', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    const front = join(dir, 'front')
    const args = ['nginx', '--dir', front, '--http', '9088', '--listen', '127.0.0.1:9080']
    const { code, stderr } = await runBroker(args, { cwd: dir })
    assert.equal(code, 0, stderr)
    const text = await readFile(join(front, 'nginx.conf'), 'utf8')
    assert.match(text, /listen 9088/)
    assert.match(text, /127\.0\.0\.1:9080/)
    assert.doesNotMatch(stderr, /account/)
    const onSocket = ['nginx', '--dir', front, '--listen', 'unix:b.sock']
    const told = await runBroker(onSocket, { cwd: dir })
    assert.equal(told.code, 0, told.stderr)
    assert.match(told.stderr, /account of Nginx may not open .*\/b\.sock .*--user/)
    const named = await runBroker([...onSocket, '--user', 'www-data broker'], { cwd: dir })
    assert.doesNotMatch(named.stderr, /account/)
    assert.match(await readFile(join(front, 'nginx.conf'), 'utf8'), /^user www-data broker;$/m)
  } finally {
    await rm(dir, { recursive: true })
  }
})
