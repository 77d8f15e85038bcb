import Type from 'typebox'
import { PROBLEMS } from '../../protocol/problem.ts'
import { schemaRef } from './schema-ref.ts'

export const FilePath = Type.String({
  minLength: 1,
  maxLength: 1024,
  description:
    '1 to 32 segments joined by `/`, at most 1,024 bytes, each segment 1 to 255 bytes; no `\\`, control or bidirectional character.',
  examples: ['builds/jenkins/app.zip'],
})

export const EntityTag = Type.String({
  pattern: '^"sha256-[A-Za-z0-9_-]{43}"$',
  description: 'Strong: the same content has the same tag.',
})

export const ContentFault = Type.Object({
  message: Type.String(),
  line: Type.Optional(Type.Integer({ minimum: 1 })),
  column: Type.Optional(Type.Integer({ minimum: 1 })),
})

export const ProblemCode = Type.Enum(Object.keys(PROBLEMS), {
  description: 'Stable; `GET /problems/{code}` tells its status, title and whether to try again.',
})

/** `Problem` of `src/protocol/problem.ts`. */
export const Problem = Type.Object(
  {
    type: Type.String({ format: 'uri-reference' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: schemaRef('ProblemCode'),
    detail: Type.Optional(Type.String({ description: 'For people; programs go by `code`.' })),
    missing: Type.Optional(Type.String({ description: 'The action that no grant allows.' })),
    index: Type.Optional(Type.Integer({ minimum: 0, description: 'Of many, which one it was.' })),
    errors: Type.Optional(Type.Array(schemaRef('ContentFault'))),
    retryAfterSeconds: Type.Optional(Type.Number({ minimum: 0 })),
  },
  { description: 'RFC 9457, with fields of some codes beside the fixed ones.' },
)

export const ProblemRow = Type.Object({
  code: schemaRef('ProblemCode'),
  status: Type.Integer(),
  title: Type.String(),
  retry: Type.Enum(['never', 'after-refresh', 'backoff']),
})

/** `UploadAnswer` of `src/files/http/put-file.ts`. */
export const UploadAnswer = Type.Object({
  path: schemaRef('FilePath'),
  size: Type.Integer({ minimum: 0 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  etag: schemaRef('EntityTag'),
  position: Type.Union([schemaRef('Position'), Type.Null()], {
    description: 'Of the event that tells it; null when the same content was there already.',
  }),
})

export const FormAnswer = Type.Object({ files: Type.Array(schemaRef('UploadAnswer')) })

/** `SyncAnswer` of `src/files/http/post-sync.ts`. */
export const SyncAnswer = Type.Object({ position: schemaRef('Position') })

/** `ListingEntry` of `src/files/http/listing.ts`: what is unknown, or not of a directory, is null. */
export const ListingEntry = Type.Object({
  name: Type.String({ description: 'Below the directory; with `recursive` it holds slashes.' }),
  type: Type.Enum(['file', 'directory']),
  size: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
  modified: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
  etag: Type.Union([schemaRef('EntityTag'), Type.Null()]),
})

export const Listing = Type.Object({
  path: Type.String({ description: 'The directory, without slashes around it; empty: the root.' }),
  entries: Type.Array(schemaRef('ListingEntry'), { description: 'Sorted by name.' }),
  next: Type.Union([Type.String(), Type.Null()], {
    description: '`cursor` of the next page; null on the last one.',
  }),
})

/** `VersionEntry` of `src/files/http/versions.ts`. */
const VERSION = {
  version: Type.String({ description: 'For `version` and `restore`.' }),
  etag: schemaRef('EntityTag'),
  size: Type.Integer({ minimum: 0 }),
  by: Type.Union([Type.String(), Type.Null()], {
    description: 'Who uploaded it; null for what was put on disk, or uploaded without a name.',
  }),
  modified: Type.String({ format: 'date-time', description: 'When the content was written.' }),
  replaced: Type.String({
    format: 'date-time',
    description: 'When it ceased to be the present content.',
  }),
  deleted: Type.Boolean({ description: 'By a delete, not by another content.' }),
}

export const VersionEntry = Type.Object(VERSION)

export const VersionList = Type.Object({
  path: schemaRef('FilePath'),
  versions: Type.Array(schemaRef('VersionEntry'), { description: 'Newest first.' }),
})

export const DeletedEntry = Type.Object({
  name: Type.String({ description: 'Below the directory, with slashes.' }),
  ...VERSION,
})

export const DeletedListing = Type.Object({
  path: Type.String({ description: 'The directory, without slashes around it; empty: the root.' }),
  entries: Type.Array(schemaRef('DeletedEntry'), {
    description: 'Of each path the newest version, sorted by name.',
  }),
  next: Type.Union([Type.String(), Type.Null()], {
    description: '`cursor` of the next page; null on the last one.',
  }),
})

export const Home = Type.Object(
  { name: Type.Literal('data-broker'), version: Type.String() },
  { additionalProperties: Type.String(), description: 'And where everything is, by name.' },
)

export const Liveness = Type.Object({ status: Type.Literal('ok') })

export const Readiness = Type.Object({
  status: Type.Enum(['ok', 'not ready']),
  components: Type.Record(
    Type.String(),
    Type.Object({ ready: Type.Boolean(), detail: Type.Optional(Type.String()) }),
  ),
})
