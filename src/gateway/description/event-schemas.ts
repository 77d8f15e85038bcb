import Type from 'typebox'
import { MAX_BATCH_EVENTS } from '../../events/publish/publish-body.ts'
import { schemaRef } from './schema-ref.ts'

export const Position = Type.String({
  pattern: '^[0-9a-z]{1,32}:(0|[1-9][0-9]{0,15})$',
  description:
    'A place in the event log. Opaque: keep it and give it back. `since` it means after it.',
  examples: ['k3x9:1042'],
})

export const Since = Type.Union([schemaRef('Position'), Type.Enum(['earliest', 'latest'])])

export const Topic = Type.String({
  minLength: 1,
  maxLength: 4096,
  description:
    '1 to 64 segments joined by `/`, at most 4,096 bytes; none is empty, `.` or `..`, or holds `*` or a control character.',
  examples: ['ci/jenkins/build'],
})

export const TopicFilter = Type.String({
  minLength: 1,
  maxLength: 4096,
  description:
    'A topic in which a whole segment may be `*` (exactly one segment) and the last `**` (zero or more).',
  examples: ['ci/**'],
})

/** Attributes that CloudEvents 1.0 leaves to others. */
const EXTENSIONS = {
  additionalProperties: Type.Union([Type.String(), Type.Boolean(), Type.Integer()], {
    description: 'Extension attributes, named [a-z0-9]+.',
  }),
}

const CONTENT = {
  datacontenttype: Type.Optional(Type.String()),
  dataschema: Type.Optional(Type.String({ format: 'uri' })),
  subject: Type.Optional(Type.String({ minLength: 1 })),
  data: Type.Optional(Type.Unknown({ description: 'Any JSON, with the bytes it was sent with.' })),
  data_base64: Type.Optional(Type.String({ contentEncoding: 'base64' })),
}

/** An event as it leaves by every door. */
export const Event = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Type.String({ minLength: 1 }),
    source: Type.String({ format: 'uri-reference' }),
    type: Type.String({ minLength: 1 }),
    time: Type.String({ format: 'date-time' }),
    ...CONTENT,
    topic: schemaRef('Topic'),
    authtype: Type.Enum(['user', 'system', 'unauthenticated']),
    authid: Type.Optional(Type.String({ description: 'Of whom it is; of users only.' })),
    position: schemaRef('Position'),
  },
  { description: 'A CloudEvent 1.0 with the attributes that the broker sets.', ...EXTENSIONS },
)

/** What a publisher sends. */
export const NewEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    type: Type.String({ minLength: 1, examples: ['build.finished'] }),
    id: Type.Optional(Type.String({ minLength: 1 })),
    source: Type.Optional(Type.String({ format: 'uri-reference' })),
    time: Type.Optional(Type.String({ format: 'date-time' })),
    topic: Type.Optional(schemaRef('Topic')),
    ...CONTENT,
  },
  {
    description:
      'A CloudEvent 1.0. `id`, `source` and `time` are filled in when missing; `position`, `authtype` and `authid` are replaced; `op` is refused.',
    ...EXTENSIONS,
  },
)

export const NewEvents = Type.Array(schemaRef('NewEvent'), { maxItems: MAX_BATCH_EVENTS })

/** `Receipt` of `src/events/publish/publisher.ts`. */
export const Receipt = Type.Object({
  id: Type.String(),
  position: schemaRef('Position'),
  duplicate: Type.Boolean({
    description: 'True when it had been published before: `position` is that of the first time.',
  }),
})

export const Receipts = Type.Array(schemaRef('Receipt'), { maxItems: MAX_BATCH_EVENTS })

export const EventPage = Type.Object({
  position: Type.Intersect([schemaRef('Position')], { description: '`since` of the next page.' }),
  complete: Type.Boolean({
    description: 'False after a gap; the first event, EVENTS MISSED, says which.',
  }),
  more: Type.Boolean({ description: 'True when the limit cut it.' }),
  events: Type.Array(schemaRef('Event')),
})

/** `FileChange` of `src/files/file-change.ts` without its type, as the data of its event. */
export const FileChange = Type.Object({
  path: schemaRef('FilePath'),
  size: Type.Integer({ minimum: 0 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  etag: schemaRef('EntityTag'),
  modified: Type.String({ format: 'date-time' }),
  origin: Type.Enum(['upload', 'disk', 'offline']),
  movedFrom: Type.Optional(schemaRef('FilePath')),
  movedTo: Type.Optional(schemaRef('FilePath')),
  errors: Type.Optional(Type.Array(schemaRef('ContentFault'))),
})

export const FileEvent = Type.Intersect([
  schemaRef('Event'),
  Type.Object({
    source: Type.Literal('/broker/files'),
    type: Type.Enum(['FILE CREATED', 'FILE UPDATED', 'FILE DELETED', 'FILE REJECTED']),
    subject: schemaRef('FilePath'),
    data: schemaRef('FileChange'),
    authtype: Type.Literal('system'),
  }),
])

export const EventsMissed = Type.Intersect([
  schemaRef('Event'),
  Type.Object({
    source: Type.Literal('/broker'),
    type: Type.Literal('EVENTS MISSED'),
    topic: Type.Literal('broker/missed'),
    data: Type.Object({
      since: Type.String({ description: 'The position that was asked for.' }),
      resumed: schemaRef('Position'),
      reason: Type.Enum(['trimmed', 'epoch', 'slow']),
    }),
    authtype: Type.Literal('system'),
  }),
])
