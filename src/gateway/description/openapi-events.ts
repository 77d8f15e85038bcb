import Type from 'typebox'
import { type Operation, operation, type PathItem } from './openapi-operation.ts'
import {
  FILTER,
  type Parameter,
  PUBLISH_PARAMETERS,
  STREAM_PARAMETERS,
  TOPIC,
} from './openapi-parameters.ts'
import { schemaRef } from './schema-ref.ts'

const LINES = Type.String({ description: 'One JSON document a line.' })

const SWITCHED = { description: 'A WebSocket; /asyncapi.json describes its messages.' }

/** The routes of `src/events/plugin.ts`. */
export const EVENTS_PATHS: Readonly<Record<string, PathItem>> = {
  '/events': {
    get: subscribe('subscribeAll', 'Receive all events that one may', []),
    post: publish('publishEvents', 'Publish events that carry their own topic', []),
  },
  '/events/{topic}': {
    get: subscribe('subscribe', 'Receive events: a page, NDJSON, SSE or a WebSocket', [FILTER]),
    post: publish('publish', 'Publish one event or many', [TOPIC]),
  },
  '/ws': {
    get: operation({
      operationId: 'openSession',
      tag: 'events',
      summary: 'Open a WebSocket of the protocol broker.v1.json',
      answers: { 101: SWITCHED },
      problems: ['UPGRADE_REQUIRED'],
      takesTicket: true,
    }),
  },
}

function subscribe(operationId: string, summary: string, path: readonly Parameter[]): Operation {
  return operation({
    operationId,
    tag: 'events',
    summary,
    description:
      'With `Upgrade: websocket` one event per text message. `Accept: text/event-stream` and `application/x-ndjson` are streams, anything else is one page.',
    parameters: [...path, ...STREAM_PARAMETERS],
    answers: {
      101: SWITCHED,
      200: {
        description: 'A page, or a stream that lasts.',
        content: {
          'application/json': schemaRef('EventPage'),
          'text/event-stream': Type.String({
            description: '`id:` is the position, `data:` the event.',
          }),
          'application/x-ndjson': LINES,
        },
      },
    },
    problems: ['FILTER_INVALID', 'POSITION_INVALID', 'UNAUTHENTICATED', 'FORBIDDEN'],
    takesTicket: true,
  })
}

function publish(operationId: string, summary: string, path: readonly Parameter[]): Operation {
  return operation({
    operationId,
    tag: 'events',
    summary,
    description:
      'The Content-Type says what the body is: a CloudEvent, many of them, or the `data` of a new event. Many are at most 10,000 and 16 MiB, all or none. What is answered survives a crash of the broker.',
    parameters: [...path, ...PUBLISH_PARAMETERS],
    body: {
      'application/json': Type.Unknown({ description: 'The data of a new event.' }),
      'application/cloudevents+json': schemaRef('NewEvent'),
      'application/cloudevents-batch+json': schemaRef('NewEvents'),
      'application/x-ndjson': LINES,
      '*/*': Type.String({ description: 'The data of a new event.', format: 'binary' }),
    },
    answers: {
      200: {
        description: 'It had been published before.',
        content: { 'application/json': schemaRef('Receipt') },
      },
      201: {
        description: 'Published; of many one receipt each.',
        content: { 'application/json': Type.Union([schemaRef('Receipt'), schemaRef('Receipts')]) },
      },
    },
    problems: [
      'TOPIC_INVALID',
      'JSON_INVALID',
      'EVENT_INVALID',
      'BODY_INCOMPLETE',
      'UNAUTHENTICATED',
      'FORBIDDEN',
      'TOPIC_RESERVED',
      'EVENT_CONFLICT',
      'TOO_LARGE',
      'MEDIA_TYPE_UNSUPPORTED',
      'STORAGE_FULL',
    ],
  })
}
