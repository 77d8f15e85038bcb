/** A process that holds many uploads open, each of which has sent a part of its body. */
import { once } from 'node:events'
import { type ClientRequest, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { BLOCK_BYTES, type LargeContent, piecesOf, sha256Of } from './large-content.ts'
import { answerCalls } from './process-calls.ts'

export interface HeldOptions {
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  readonly uploads: number
  /** Of each; all but the last block is sent at once. */
  readonly bytes: number
}

interface Held {
  readonly sent: ClientRequest
  readonly content: LargeContent
  readonly rest: readonly Buffer[]
  readonly answered: Promise<string | undefined>
}

let held: readonly Held[] = []

const api = {
  /** Resolves when the system has taken all that is sent at once. */
  async open({ uploads, ...options }: HeldOptions): Promise<void> {
    held = await Promise.all(Array.from({ length: uploads }, (_, seed) => open(seed, options)))
  },

  /** Sends what is left; resolves with what is wrong of the answers. */
  async finish(_: undefined): Promise<string | undefined> {
    for (const { sent, rest } of held) {
      for (const piece of rest) sent.write(piece)
      sent.end()
    }
    const faults = await Promise.all(held.map(({ answered }) => answered))
    held = []
    return faults.find((fault) => fault !== undefined)
  },
}

/** What the process of the held uploads can be asked for. */
export type HeldUploads = typeof api

answerCalls(api)

async function open(
  seed: number,
  { port, headers, bytes }: Omit<HeldOptions, 'uploads'>,
): Promise<Held> {
  const content = { seed, bytes }
  const path = `/files/bench/held/${seed}.bin`
  const fields = { ...headers, 'content-length': bytes }
  const options = { host: '127.0.0.1', port, path, headers: fields, agent: false }
  const sent = request({ ...options, method: 'PUT' })
  const answered = faultOf(sent, content)
  const pieces = [...piecesOf(content)]
  const rest = pieces.splice((pieces.length * (bytes - BLOCK_BYTES)) / bytes)
  for (const piece of pieces) if (!sent.write(piece)) await once(sent, 'drain')
  return { sent, content, rest, answered }
}

async function faultOf(sent: ClientRequest, content: LargeContent): Promise<string | undefined> {
  try {
    const [response] = await once(sent, 'response')
    const answer = await text(response)
    const isStored = response.statusCode === 201 && answer.includes(sha256Of(content))
    return isStored ? undefined : `${response.statusCode} ${answer}`
  } catch (error) {
    return String(error)
  }
}
