import { Agent, type RequestOptions, request } from 'node:http'
import type { PublisherConnection } from './publisher-connection.ts'
import { digitsOf } from './topic-groups.ts'

export interface HttpPublisherOptions {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Lines of one request. */
  readonly batch: number
  /** Each line is an event with the topic of its number. */
  readonly isGrouped?: boolean
}

/** POST of NDJSON over one connection, each request when the one before it was acknowledged. */
export class HttpPublisher implements PublisherConnection {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  readonly #options: RequestOptions
  readonly #batch: number
  readonly #isGrouped: boolean

  constructor({ host, port, path, headers, batch, isGrouped = false }: HttpPublisherOptions) {
    const type = { 'content-type': 'application/x-ndjson' }
    const agent = this.#agent
    this.#options = { host, port, path, agent, method: 'POST', headers: { ...headers, ...type } }
    this.#batch = batch
    this.#isGrouped = isGrouped
  }

  pack(payloads: readonly string[]): readonly Buffer[] {
    const bodies: Buffer[] = []
    const lines = this.#isGrouped ? payloads.map(eventOf) : payloads
    for (let at = 0; at < lines.length; at += this.#batch) {
      bodies.push(Buffer.from(`${lines.slice(at, at + this.#batch).join('\n')}\n`))
    }
    return bodies
  }

  send(packed: Buffer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const sent = request(this.#options, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('end', () => {
        if (response.statusCode === 201) resolve()
        else reject(new Error(`${response.statusCode}: ${Buffer.concat(pieces).toString()}`))
      })
    })
    sent.on('error', reject)
    sent.setHeader('content-length', packed.length)
    sent.end(packed)
    return promise
  }

  async finish(): Promise<void> {
    this.#agent.destroy()
  }
}

function eventOf(data: string, number: number): string {
  const topic = `bench/${digitsOf(number).join('/')}`
  return `{"specversion":"1.0","type":"message","topic":"${topic}","data":${data}}`
}
