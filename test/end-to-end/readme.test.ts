import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { BROKER, BrokerProcess, ROOT, run } from '../support/broker-process.ts'
import { PYTHON, PYZMQ_MISSING } from '../support/python.ts'

/** What the README shows is run as it stands, against a broker on other ports. */
let broker: BrokerProcess
let env: NodeJS.ProcessEnv
let blocks: readonly { language: string; text: string }[]

before(async () => {
  broker = await BrokerProcess.start()
  await copyFile(
    join(ROOT, 'config/broker_users.xml'),
    join(broker.directory, 'config/broker_users.xml'),
  )
  await copyFile(join(ROOT, 'README.md'), join(broker.directory, 'README.md'))
  // `npx broker` of a clone is bin/broker.js.
  const bin = join(broker.directory, 'bin')
  await mkdir(bin)
  await writeFile(
    join(bin, 'npx'),
    `#!/bin/sh\nshift\nexec "${process.execPath}" "${BROKER}" "$@"\n`,
  )
  await chmod(join(bin, 'npx'), 0o755)
  env = {
    ...process.env,
    PATH: `${bin}:${process.env['PATH']}`,
    BROKER_URL: broker.url,
  }
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
  blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    language,
    text: text
      .replaceAll('localhost:8080', `127.0.0.1:${broker.port}`)
      .replaceAll('tcp://127.0.0.1:5556', broker.zmqSubscribe)
      .replaceAll('tcp://127.0.0.1:5557', broker.zmqSession),
  }))
})

after(() => broker?.[Symbol.asyncDispose]())

function blocksOf(language: string): string[] {
  return blocks.filter((block) => block.language === language).map(({ text }) => text)
}

/** Of the tour: what follows is pasted into the same shell. */
function tokenLine(): string {
  return String(blocksOf('sh')[0]?.split('\n')[0])
}

async function shell(text: string): Promise<string> {
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', text], {
    cwd: broker.directory,
    env,
  })
  return stdout
}

test('the tour publishes, reads back, uploads, lists and shows what the upload told', async () => {
  const [tour] = blocksOf('sh')
  const output = await shell(String(tour).replaceAll('curl ', 'curl -sSf '))
  assert.match(output, /"data":\{"job": "app", "build": 42\}/)
  assert.match(output, /"path":"builds\/app\/42\/README.md"/)
  assert.match(output, /"entries":\[\{"name":"README.md"/)
  assert.match(output, /"type":"FILE CREATED"/)
})

test('a large file is uploaded by parts', async () => {
  const [upload] = blocksOf('bash')
  await shell(`${tokenLine()}\n${upload}`)
  const stored = await fetch(`${broker.url}/files/builds/app/43/README.md`, {
    headers: { 'x-broker-token': await broker.adminToken() },
  })
  assert.equal(await stored.text(), await readFile(join(ROOT, 'README.md'), 'utf8'))
})

test('the command publishes, stores, lists, fetches and subscribes', async () => {
  const [, command] = blocksOf('sh')
  const output = await shell(String(command))
  assert.match(output, /builds\/app\/44\/README.md/)
  assert.equal(
    await readFile(join(broker.directory, 'copy.md'), 'utf8'),
    await readFile(join(ROOT, 'README.md'), 'utf8'),
  )
})

test('a token is made, the users file is checked, a decision is shown', async () => {
  const [, , users] = blocksOf('sh')
  const output = await shell(String(users))
  assert.match(output, /dbk_[0-9A-Za-z]{36}/)
  assert.match(output, /allow/)
})

/** Publishes until `child` prints something, and returns what. */
async function hear(command: string, args: readonly string[], topic: string): Promise<string> {
  const cwd = broker.directory
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  let line: string | undefined
  const heard = once(lines, 'line').then(([text]) => {
    line = text
  })
  const headers = { 'x-broker-token': await broker.adminToken() }
  while (line === undefined) {
    const body = '{"n": 1}'
    await Promise.race([
      heard,
      fetch(`${broker.url}/events/${topic}`, { method: 'POST', body, headers }),
    ])
  }
  child.kill('SIGKILL')
  return line
}

test('the browser snippet prints what is published', async () => {
  const [snippet] = blocksOf('js')
  const script = String(snippet).replace("'dbk_...'", `'${await broker.adminToken()}'`)
  const line = await hear(process.execPath, ['--input-type=module', '-e', script], 'ci/snippet')
  assert.match(line, /^ci\/snippet /)
})

test('the Python snippets subscribe and publish', { skip: PYZMQ_MISSING }, async () => {
  const [subscribe, publish] = blocksOf('python')
  const inShell = `${tokenLine()}; exec "$0" "$@"`
  const subscriber = ['-c', inShell, PYTHON, '-c', String(subscribe)]
  assert.match(await hear('bash', subscriber, 'ci/python'), /^ci\/python /)
  assert.match(
    await shell(`${tokenLine()}\n${PYTHON} - <<'END'\n${publish}END`),
    /^\[b'OK', b'\{"id"/,
  )
})
