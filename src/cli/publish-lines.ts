import type { Readable } from 'node:stream'
import { BrokerError, type PublishAck } from '../client/index.ts'

/** What the broker takes in one request is 10,000 events and 16 MiB; a UTF-16 unit is at most 3 bytes. */
const MAX_LINES = 10_000
const MAX_LENGTH = 4 * 1024 * 1024

interface Line {
  readonly text: string
  /** From 1. */
  readonly number: number
}

/**
 * Publishes the lines of `stdin` as they come, empty ones left out. While one request is under way the next
 * lines gather, so that a slow pipe is published at once and a file in large batches.
 *
 * @throws {BrokerError} what the broker refuses, with the number of the line when it names one
 */
export async function publishLines(
  stdin: Readable,
  send: (lines: readonly string[]) => Promise<readonly PublishAck[]>,
  onAcks: (acks: readonly PublishAck[]) => Promise<void>,
): Promise<void> {
  const waiting: Line[] = []
  let waitingLength = 0
  let sending: Promise<void> | undefined

  async function sendAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, batchSize(waiting))
      for (const { text } of batch) waitingLength -= text.length
      await onAcks(await send(batch.map(({ text }) => text)).catch(nameLine(batch)))
    }
    sending = undefined
  }

  for await (const line of linesOf(stdin)) {
    waiting.push(line)
    waitingLength += line.text.length
    if (sending === undefined) {
      sending = sendAll()
      // A pipe that stays quiet would keep a refusal from being seen.
      sending.catch((error: unknown) => stdin.destroy(error instanceof Error ? error : undefined))
    }
    if (waiting.length >= MAX_LINES || waitingLength >= MAX_LENGTH) await sending
  }
  await sending
}

function batchSize(lines: readonly Line[]): number {
  let length = 0
  const end = lines.slice(0, MAX_LINES).findIndex(({ text }) => {
    length += text.length
    return length > MAX_LENGTH
  })
  return end === -1 ? MAX_LINES : Math.max(1, end)
}

function nameLine(batch: readonly Line[]): (error: unknown) => never {
  return (error) => {
    const index = error instanceof BrokerError ? error.fields['index'] : undefined
    const line = typeof index === 'number' ? batch[index] : undefined
    if (!(error instanceof BrokerError) || line === undefined) throw error
    // The broker counts within the batch.
    const words = error.message.replace(/^line \d+ /, '')
    throw new BrokerError(error.code, `line ${line.number}: ${words}`, { cause: error })
  }
}

/** Not `readline`, which also ends a line at U+2028: JSON may hold that. */
async function* linesOf(stdin: Readable): AsyncGenerator<Line, void> {
  const decode = utf8Decoder()
  let rest = ''
  let number = 0
  for await (const chunk of stdin) {
    const pieces = (rest + decode(chunk)).split('\n')
    rest = pieces.pop() ?? ''
    for (const text of pieces) {
      number += 1
      if (text.trim() !== '') yield { text, number }
    }
  }
  const text = rest + decode()
  if (text.trim() !== '') yield { text, number: number + 1 }
}

function utf8Decoder(): (chunk?: Uint8Array) => string {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  return (chunk) => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true })
    } catch (cause) {
      throw new Error('what comes on stdin is not UTF-8', { cause })
    }
  }
}
