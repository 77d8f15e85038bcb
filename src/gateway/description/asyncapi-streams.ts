import Type from 'typebox'
import {
  type AsyncPart,
  type Channel,
  EVENT_MESSAGES,
  EVENT_NAMES,
  FILTER_PARAMETER,
  sends,
  server,
} from './asyncapi-parts.ts'

const QUERY = Type.Object({
  since: Type.Optional(Type.String({ description: 'A position, `earliest` or `latest`.' })),
  ticket: Type.Optional(Type.String({ description: 'For what cannot carry headers.' })),
})

const QUIET = 'After 15 quiet seconds an `id:` without data moves the position of the client.'

/** `GET /events/{filter}` in its three lasting forms. */
export const STREAMS_PART: AsyncPart = {
  channels: {
    eventSocket: stream(
      'websocket',
      'Events over a WebSocket',
      'One event per text message and nothing else; subprotocol `cloudevents.json` if offered.',
      { ws: { method: 'GET', query: QUERY, bindingVersion: '0.1.0' } },
    ),
    serverSentEvents: stream(
      'http',
      'Events as server-sent events',
      `With \`Accept: text/event-stream\`: \`id:\` is the position, \`data:\` the event, with \`?named\` also \`event:\` the type. \`Last-Event-ID\` wins over \`since\`. ${QUIET}`,
    ),
    eventLines: stream(
      'http',
      'Events as lines of JSON',
      'With `Accept: application/x-ndjson`: one event a line; `?follow=false` ends at the present.',
    ),
  },
  operations: {
    tellOnEventSocket: sends('eventSocket', 'Tells events on a WebSocket.', EVENT_NAMES),
    tellServerSentEvents: sends('serverSentEvents', 'Tells server-sent events.', EVENT_NAMES),
    tellEventLines: sends('eventLines', 'Tells events line by line.', EVENT_NAMES),
  },
}

function stream(on: string, title: string, description: string, bindings?: object): Channel {
  return {
    address: '/events/{filter}',
    title,
    description,
    servers: [server(on)],
    parameters: FILTER_PARAMETER,
    messages: EVENT_MESSAGES,
    ...(bindings !== undefined && { bindings }),
  }
}
