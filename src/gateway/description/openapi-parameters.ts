import Type, { type TSchema } from 'typebox'
import { MAX_LIMIT } from '../../files/http/listing.ts'
import { schemaRef } from './schema-ref.ts'

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: true
  readonly description: string
  readonly schema: TSchema
  readonly example?: string
}

/** OpenAPI has no parameter of several segments: that slashes stay slashes is said in words. */
function segments(name: string, schema: TSchema, example: string, description: string): Parameter {
  const words = `${description} Segments are percent-encoded one by one, slashes between them stay.`
  return { name, in: 'path', required: true, description: words, schema, example }
}

function query(name: string, schema: TSchema, description: string): Parameter {
  return { name, in: 'query', description, schema }
}

function header(name: string, description: string, schema: TSchema = Type.String()): Parameter {
  return { name, in: 'header', description, schema }
}

const flag = Type.Enum(['', 'true', '1', 'false', '0'])

export const TOPIC = segments('topic', schemaRef('Topic'), 'ci/jenkins/build', 'A topic.')
/** The two templates of one address must have one name. */
export const FILTER = segments(
  'topic',
  schemaRef('TopicFilter'),
  'ci/**',
  'A topic filter; `*` may be written plain.',
)
export const PATH = segments('path', schemaRef('FilePath'), 'builds/app.zip', 'A path.')
export const DIRECTORY = segments('directory', schemaRef('FilePath'), 'builds', 'A directory.')
export const CODE: Parameter = {
  name: 'code',
  in: 'path',
  required: true,
  description: 'A problem code.',
  schema: schemaRef('ProblemCode'),
  example: 'FORBIDDEN',
}

export const STREAM_PARAMETERS: readonly Parameter[] = [
  query('since', schemaRef('Since'), 'Streams begin at `latest`, pages at `earliest` unless told.'),
  query('limit', Type.Integer({ minimum: 1, maximum: 1000, default: 100 }), 'Events of a page.'),
  query(
    'wait',
    Type.Integer({ minimum: 0, maximum: 60, default: 0 }),
    'Seconds that an empty page waits for its first event.',
  ),
  query('follow', flag, 'NDJSON: `false` ends at the present.'),
  query('named', flag, 'SSE: `event:` is the type of the event.'),
  header('Last-Event-ID', 'A position; wins over `since`.'),
]

export const PUBLISH_PARAMETERS: readonly Parameter[] = [
  header('X-Event-Type', 'Type of an event that is no CloudEvent; `message` unless told.'),
  header(
    'Idempotency-Key',
    'Counts instead of `source` and `id` for 5 minutes; of many as `key/0`, `key/1`, ...',
    Type.String({ minLength: 1, maxLength: 256 }),
  ),
  header('ce-specversion', 'Binary mode: `1.0`. All attributes come as `ce-` fields.'),
  header('ce-type', 'Binary mode: the type.'),
  header('ce-id', 'Binary mode: the id.'),
  header('ce-source', 'Binary mode: the source.'),
]

const IF_MATCH = header('If-Match', 'Entity tags, one of which the file must have; `*` any.')
const IF_NONE_MATCH = header('If-None-Match', 'Entity tags, none of which it has; `*` none at all.')
const IF_UNMODIFIED_SINCE = header('If-Unmodified-Since', 'An HTTP date.')

export const READ_PARAMETERS: readonly Parameter[] = [
  header('Range', '`bytes=<first>-<last>`, several, or a suffix.'),
  header('If-Range', 'The `ETag` or `Last-Modified` without which the range does not count.'),
  IF_MATCH,
  IF_NONE_MATCH,
  header('If-Modified-Since', 'An HTTP date.'),
  IF_UNMODIFIED_SINCE,
  header(
    'Want-Repr-Digest',
    'Which `Repr-Digest` is preferred, RFC 9530: `sha-512=10, sha-256=1`; sha-256 without it.',
  ),
]

export const WRITE_PARAMETERS: readonly Parameter[] = [
  IF_MATCH,
  IF_NONE_MATCH,
  IF_UNMODIFIED_SINCE,
  header(
    'X-Confirm-Shrink',
    'Users file: `true` confirms that more than half of the users vanish.',
    Type.Enum(['true']),
  ),
]

export const DIGEST_PARAMETERS: readonly Parameter[] = [
  header('Repr-Digest', '`sha-256=:<base64>:` or `sha-512`, verified.'),
  header('Content-Digest', 'The same.'),
  header(
    'X-Checksum-Sha256',
    'Hexadecimal, verified.',
    Type.String({ pattern: '^[0-9A-Fa-f]{64}$' }),
  ),
  header(
    'Expect',
    '`100-continue`: the body is asked for when it is needed; not of a content that is here, by its sha-256.',
    Type.Enum(['100-continue']),
  ),
]

const TUS_RESUMABLE = {
  ...header('Tus-Resumable', 'The version of tus.', Type.Enum(['1.0.0'])),
  required: true,
} as const
const COUNT = Type.Integer({ minimum: 0 })
const UPLOAD_CHECKSUM = header(
  'Upload-Checksum',
  '`sha1 <base64>`, `sha256` or `sha512` of the part that comes, verified.',
)

export const UPLOAD: Parameter = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'The last segment of the `Location` of the upload.',
  schema: Type.String({ format: 'uuid' }),
  example: '0b6f1d2e-7f0e-4a55-9d3a-2f4f6f7a9c11',
}

export const CREATION_PARAMETERS: readonly Parameter[] = [
  TUS_RESUMABLE,
  { ...header('Upload-Length', 'Bytes of the whole.', COUNT), required: true },
  {
    ...header(
      'Upload-Metadata',
      '`path <base64>`, and optionally `sha256 <base64 of hexadecimal>`; other keys are kept.',
    ),
    required: true,
  },
  UPLOAD_CHECKSUM,
]

export const PART_PARAMETERS: readonly Parameter[] = [
  TUS_RESUMABLE,
  { ...header('Upload-Offset', 'Where the part goes.', COUNT), required: true },
  UPLOAD_CHECKSUM,
]

export const UPLOAD_PARAMETERS: readonly Parameter[] = [TUS_RESUMABLE]

/** Of the whole content, whatever part of it comes. */
export const REPR_DIGEST_PARAMETERS: readonly Parameter[] = DIGEST_PARAMETERS.filter(
  ({ name }) => name !== 'Content-Digest',
)

export const METHOD_OVERRIDE: Parameter = {
  ...header(
    'X-HTTP-Method-Override',
    'For clients that cannot send this method.',
    Type.Enum(['PATCH']),
  ),
  required: true,
}

export const DELETE_PARAMETERS: readonly Parameter[] = [
  IF_MATCH,
  IF_NONE_MATCH,
  IF_UNMODIFIED_SINCE,
]

export const RECURSIVE = query('recursive', flag, 'Everything below; needed to delete.')

export const VERSION_PARAMETERS: readonly Parameter[] = [
  query('versions', flag, 'The list of former contents, as JSON; needs the right to list.'),
  query('version', Type.String(), 'A former content instead of the present one.'),
]

export const RESTORE = query(
  'restore',
  Type.String(),
  'Without a body: makes this former content the present one.',
)

const DELETED = query(
  'deleted',
  flag,
  'Former contents of files at any depth that are there no more: a `DeletedListing`, as JSON.',
)

export const LISTING_PARAMETERS: readonly Parameter[] = [
  RECURSIVE,
  query('limit', Type.Integer({ minimum: 1, maximum: MAX_LIMIT }), 'Entries of a page.'),
  query('cursor', Type.String(), '`next` of the page before.'),
  query('format', Type.Enum(['tar']), 'As `Accept: application/x-tar`, where that cannot be said.'),
  DELETED,
]
