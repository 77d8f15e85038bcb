import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatBytes, ProgressBar, renderProgress } from '../../src/cli/progress.ts'

const half = { label: 'app.tgz', doneBytes: 512, totalBytes: 1024, elapsedMs: 500 }

test('progress shows share, amounts and rate', () => {
  const line = 'app.tgz   50% [============            ]  512 B of 1.0 KiB  1.0 KiB/s'
  assert.equal(renderProgress(half, 100), line)
})

test('without a total it shows the amount, and an empty file is done', () => {
  const unknown = { ...half, totalBytes: undefined }
  assert.equal(renderProgress(unknown, 100), 'app.tgz  512 B  1.0 KiB/s')
  const empty = { label: 'a', doneBytes: 0, totalBytes: 0, elapsedMs: 0 }
  assert.match(renderProgress(empty, 100), /100% \[={24}\]/)
})

test('a line never fills the width, whatever the label and the numbers', () => {
  const progress = fc.record({
    label: fc.string({ minLength: 1, maxLength: 300 }),
    doneBytes: fc.nat(),
    totalBytes: fc.option(fc.nat(), { nil: undefined }),
    elapsedMs: fc.nat(),
  })
  fc.assert(
    fc.property(progress, fc.integer({ min: 1, max: 200 }), (one, columns) => {
      assert.ok(renderProgress(one, columns).length < columns)
    }),
  )
})

test('bytes are shown in powers of 1024', () => {
  const shown = [0, 1023, 1024, 1536, 2 ** 30, 2 ** 60].map(formatBytes)
  assert.deepEqual(shown, ['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '1.0 GiB', '1024.0 PiB'])
})

test('the bar is drawn ten times a second at most, and wiped at the end', () => {
  const written: string[] = []
  const messages = { isInteractive: true, columns: 80, write: (text: string) => written.push(text) }
  let nowMs = 0
  const bar = new ProgressBar(
    { ...messages, write: (t) => void messages.write(t) },
    'a',
    () => nowMs,
  )
  for (; nowMs < 1000; nowMs += 10) bar.update(nowMs, 1000)
  bar[Symbol.dispose]()
  bar[Symbol.dispose]()
  assert.equal(written.length, 11)
  assert.equal(written.at(-1), '\r\u001b[K')
})

test('nothing is drawn where nobody watches', () => {
  const messages = { isInteractive: false, columns: 80, write: () => assert.fail('drawn') }
  using bar = new ProgressBar(messages, 'a')
  bar.update(1, 2)
})
