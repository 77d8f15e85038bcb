import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, watch as watchFor, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { CommandCheck } from '../../src/files/validation/command-check.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'

const LONG_MS = 60_000

/** A check and a content; `judge` runs a shell script on it. */
async function openCheck(text = 'content') {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  const file = join(directory, 'content')
  await writeFile(file, text)
  const check = new CommandCheck()
  const content = {
    size: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest('hex'),
    file,
    bytes: () => readFile(file),
  }
  const ask = (command: readonly string[], limitMs = LONG_MS) =>
    check.judge({ path: 'a/b.txt' as FilePath, content, command, limitMs })
  return {
    directory,
    check,
    content,
    ask,
    judge: (script: string, limitMs?: number) => ask(['/bin/sh', '-c', script], limitMs),
    async [Symbol.asyncDispose]() {
      await check.close()
      await rm(directory, { recursive: true })
    },
  }
}

test('a command that exits with 0 accepts, and may leave the content unread', async () => {
  await using subject = await openCheck('x'.repeat(1_000_000))
  assert.deepEqual(await subject.judge('exit 0'), [])
  assert.deepEqual(await subject.judge('test "$(wc -c)" -eq 1000000'), [])
})

test('a command is told of the content and of nothing else, and cannot write it', async () => {
  await using subject = await openCheck()
  process.env['BROKER_SECRET'] = 'secret'
  const faults = await subject.judge('env | sort >&2; pwd >&2; echo x >&0; exit 1')
  delete process.env['BROKER_SECRET']
  const lines = faults.map(({ message }) => message)
  assert.ok(lines.includes('BROKER_PATH=a/b.txt'))
  assert.ok(lines.includes('BROKER_SIZE=7'))
  assert.ok(lines.includes(`BROKER_SHA256=${subject.content.sha256}`))
  assert.ok(lines.includes('/'))
  assert.ok(!lines.some((line) => line.includes('secret')))
  const known = /^(PATH|LANG|PWD|OLDPWD|SHLVL|_|BROKER_(PATH|SIZE|SHA256))=/
  assert.deepEqual(
    lines.filter((line) => /^\w+=/.test(line) && !known.test(line)),
    [],
  )
  assert.equal(await readFile(subject.content.file, 'utf8'), 'content')
})

test('a command that exits otherwise refuses with its lines, without what a terminal obeys', async () => {
  await using subject = await openCheck()
  assert.deepEqual(await subject.judge('printf "one\\033[31m red\\n\\n\\007two\\n" >&2; exit 3'), [
    { message: 'one red' },
    { message: 'two' },
  ])
  assert.deepEqual(await subject.judge('exit 3'), [{ message: 'was refused with exit code 3' }])
})

test('a command may write without end before it refuses', async () => {
  await using subject = await openCheck()
  const faults = await subject.judge('head -c 10000000 /dev/zero | tr "\\0" "x" >&2; exit 1')
  assert.equal(faults.length, 1)
  assert.ok((faults[0]?.message.length ?? 0) < 600)
  const lines = await subject.judge('seq 1 100000 >&2; exit 1')
  assert.equal(lines.length, 100)
})

test('without an exit code there is no judgement', async () => {
  await using subject = await openCheck()
  await assert.rejects(subject.ask(['/no/such/program']), { code: 'UNAVAILABLE' })
  await assert.rejects(subject.ask([subject.content.file]), { code: 'UNAVAILABLE' })
  await assert.rejects(subject.judge('kill -SEGV $$'), { code: 'UNAVAILABLE' })
  await assert.rejects(subject.judge('sleep 1000', 20), { code: 'UNAVAILABLE' })
  await assert.rejects(subject.judge('trap "" TERM; while :; do :; done', 20), {
    code: 'UNAVAILABLE',
  })
})

test('what a command has started ends with it, in time or out of time', async () => {
  await using subject = await openCheck()
  for (const end of ['exit 0', 'sleep 1000']) {
    const pidFile = join(subject.directory, 'pid')
    const written = changeOf(subject.directory, 'pid')
    const judged = subject.judge(`sleep 1000 & echo $! > ${pidFile}; ${end}`, 500)
    await written
    await judged.catch(() => undefined)
    const pid = Number(await readFile(pidFile, 'utf8'))
    // It dies in its own time once it is killed; one that is not would never come to an end.
    while (await isAlive(pid)) await setImmediate()
    await rm(pidFile)
  }
})

test('an answer does not wait for a process that has left the group', async () => {
  await using subject = await openCheck()
  const pidFile = join(subject.directory, 'pid')
  const script = `setsid sh -c 'echo $$ > ${pidFile}; exec sleep 1000' & until [ -s ${pidFile} ]; do :; done; echo no >&2; exit 1`
  assert.deepEqual(await subject.judge(script, 1000), [{ message: 'no' }])
  process.kill(Number(await readFile(pidFile, 'utf8')), 'SIGKILL')
})

test('four commands run at once, and closing ends them', async () => {
  await using subject = await openCheck()
  const { directory, check } = subject
  const scripts = Array.from({ length: 8 }, (_, i) => `: > ${directory}/started-${i}; sleep 1000`)
  const judged = scripts.map((script) => subject.judge(script))
  const failed = Promise.allSettled(judged)
  await startedIn(directory, 4)
  await check.close()
  const outcomes = await failed
  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
  assert.equal((await startedIn(directory, 4)).length, 4)
})

async function changeOf(directory: string, name: string): Promise<void> {
  for await (const { filename } of watchFor(directory)) if (filename === name) return
}

/** False for a zombie too, whose parent, init, has not looked yet. */
async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') X')
  return !/\) [ZX]/.test(status)
}

async function startedIn(directory: string, count: number): Promise<string[]> {
  const watcher = watch(directory)
  try {
    for (;;) {
      const names = (await readdir(directory)).filter((name) => name.startsWith('started'))
      if (names.length >= count) return names
      await once(watcher, 'change')
    }
  } finally {
    watcher.close()
  }
}
