import { BrokerError, type ProblemCode } from '../../protocol/problem.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import type { LogQuery, Loss, StoredEvent } from '../log/event-log.ts'
import type { EventInput } from '../publish/event-input.ts'
import type { PublishOptions, Receipt } from '../publish/publisher.ts'
import { decodeRows, encodeRows } from './event-rows.ts'
import type { MessageLink } from './message-link.ts'

/** What a process that holds streams asks of the one that owns the log. */
export interface Calls<Identity> {
  readonly head: { readonly ask: null; readonly answer: number }
  /** The events of the page come as rows. */
  readonly read: { readonly ask: LogQuery; readonly answer: { readonly through: number } }
  readonly lossAfter: {
    readonly ask: { readonly after: number; readonly filters: readonly TopicFilter[] }
    readonly answer: Loss | null
  }
  readonly publish: {
    readonly ask: {
      readonly connection: number
      readonly inputs: readonly EventInput[]
      readonly options: PublishOptions
    }
    readonly answer: readonly Receipt[]
  }
  readonly authenticate: {
    readonly ask: { readonly connection: number; readonly token: string }
    readonly answer: Identity
  }
}

export type Method = keyof Calls<unknown>

export interface Answer<Value> {
  readonly value: Value
  readonly events: readonly StoredEvent[]
}

/** How each method is answered. Throws to refuse. */
export type Answerers<Identity> = {
  readonly [M in Method]: (
    ask: Calls<Identity>[M]['ask'],
  ) => Promise<Answer<Calls<Identity>[M]['answer']>>
}

interface CallMessage {
  readonly call: number
  readonly method: Method
  readonly ask: never
}

interface AnswerMessage {
  readonly answer: number
  readonly value?: unknown
  readonly refusal?: Refusal
}

/** A failure on its way to the other process. */
interface Refusal {
  readonly code: ProblemCode
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export function isCall(head: unknown): head is CallMessage {
  return Object.hasOwn(head as object, 'call')
}

export function isAnswer(head: unknown): head is AnswerMessage {
  return Object.hasOwn(head as object, 'answer')
}

/** The asking end. */
export class Caller<Identity> {
  readonly #link: () => MessageLink
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer<never>>>()
  #last = 0

  constructor(link: () => MessageLink) {
    this.#link = link
  }

  /** @throws {BrokerError} as the answerer refuses */
  call<M extends Method>(
    method: M,
    ask: Calls<Identity>[M]['ask'],
  ): Promise<Answer<Calls<Identity>[M]['answer']>> {
    this.#last += 1
    const waiting = Promise.withResolvers<Answer<never>>()
    this.#waiting.set(this.#last, waiting)
    this.#link().send({ call: this.#last, method, ask })
    return waiting.promise
  }

  settle({ answer, value, refusal }: AnswerMessage, rows: Buffer): void {
    const waiting = this.#waiting.get(answer)
    this.#waiting.delete(answer)
    if (refusal === undefined) waiting?.resolve({ value: value as never, events: decodeRows(rows) })
    else waiting?.reject(new BrokerError(refusal.code, refusal.message, { fields: refusal.fields }))
  }
}

/** The answering end: one message for each call. */
export async function answerCall<Identity>(
  link: MessageLink,
  answerers: Answerers<Identity>,
  { call, method, ask }: CallMessage,
): Promise<void> {
  try {
    const { value, events } = await answerers[method](ask)
    link.send({ answer: call, value }, events.length === 0 ? undefined : encodeRows(events))
  } catch (error) {
    link.send({ answer: call, refusal: refusalOf(error) })
  }
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof BrokerError)) {
    return { code: 'INTERNAL', message: 'the request failed', fields: {} }
  }
  const { code, message, fields } = error
  return { code, message, fields: { ...fields } }
}
