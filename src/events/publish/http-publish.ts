import type { FastifyReply, FastifyRequest } from 'fastify'
import { BrokerError } from '../../protocol/problem.ts'
import { parseRequestTarget } from '../../protocol/request-target.ts'
import { isReservedTopic, parseTopic, type Topic } from '../../protocol/topic.ts'
import { admitPublisher } from '../delivery/admission.ts'
import { readPublishBody } from './publish-body.ts'
import type { Publisher } from './publisher.ts'

/** `POST /events/{topic}` and `POST /events`. */
export async function httpPublish(
  publisher: Pick<Publisher, 'publish'>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const { topic } = request
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const { isBatch, inputs } = readPublishBody(request.headers, body)
  const idempotencyKey = idempotencyKeyOf(request)
  const options = { topic, idempotencyKey, isBatch }
  const receipts = await publisher.publish(request.principal, inputs, options)
  const [first] = receipts
  if (isBatch || first === undefined) return reply.code(201).send(receipts)
  return reply.code(first.duplicate ? 200 : 201).send(first)
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Of a publish: the topic in its address, undefined when there is none. */
    topic: Topic | undefined
  }
}

/**
 * Reads the topic of the address and judges it before the body is read, so that nobody sends megabytes to be
 * told no.
 *
 * @throws {BrokerError} `TOPIC_INVALID`, `TOPIC_RESERVED`, `FORBIDDEN`, `UNAUTHENTICATED`
 */
export function judgeRoute(request: FastifyRequest): void {
  const topic = routeTopic(request)
  request.topic = topic
  if (topic === undefined) return
  if (isReservedTopic(topic)) {
    throw new BrokerError(
      'TOPIC_RESERVED',
      'topics under files/ and broker/ are the broker\u2019s own',
    )
  }
  admitPublisher(request.principal, topic)
}

function routeTopic(request: FastifyRequest): Topic | undefined {
  const { segments, isDirectory } = parseRequestTarget(request.raw.url ?? '')
  const names = segments.slice(1)
  if (names.length === 0 && !isDirectory) return undefined
  const topic = parseTopic([...names, ...(isDirectory ? [''] : [])].join('/'))
  if (!topic.ok) throw new BrokerError('TOPIC_INVALID', topic.error)
  return topic.value
}

function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key']
  return Array.isArray(key) ? key.join(',') : key
}
