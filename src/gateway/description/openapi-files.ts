import Type from 'typebox'
import type { ProblemCode } from '../../protocol/problem.ts'
import type { HeaderName } from './openapi-headers.ts'
import { type Answer, type Operation, operation, type PathItem } from './openapi-operation.ts'
import {
  DELETE_PARAMETERS,
  DIGEST_PARAMETERS,
  DIRECTORY,
  LISTING_PARAMETERS,
  PATH,
  type Parameter,
  READ_PARAMETERS,
  RECURSIVE,
  RESTORE,
  VERSION_PARAMETERS,
  WRITE_PARAMETERS,
} from './openapi-parameters.ts'
import { schemaRef } from './schema-ref.ts'

const CONTENT = { '*/*': Type.String({ format: 'binary' }) }
const VALIDATORS: readonly HeaderName[] = ['ETag', 'Repr-Digest', 'Last-Modified']
const ALLOWED: Answer = { description: 'The methods of files.', headers: ['Allow'] }

const READ_PROBLEMS: readonly ProblemCode[] = [
  'PATH_INVALID',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'PRECONDITION_FAILED',
  'UNAVAILABLE',
]

export const UPLOAD_PROBLEMS: readonly ProblemCode[] = [
  'PATH_INVALID',
  'DIGEST_INVALID',
  'BODY_INCOMPLETE',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'PATH_CONFLICT',
  'READ_ONLY',
  'PRECONDITION_FAILED',
  'PRECONDITION_REQUIRED',
  'TOO_LARGE',
  'MEDIA_TYPE_UNSUPPORTED',
  'CONTENT_INVALID',
  'UNAVAILABLE',
  'STORAGE_FULL',
  'QUOTA_EXCEEDED',
  'REQUEST_TIMEOUT',
]

const DELETE_PROBLEMS: readonly ProblemCode[] = [
  ...READ_PROBLEMS,
  'READ_ONLY',
  'PRECONDITION_REQUIRED',
]

/** The routes of `src/files/plugin.ts`. */
export const FILES_PATHS: Readonly<Record<string, PathItem>> = {
  '/files/{path}': {
    get: readFile('getFile', 'Download a file', true),
    head: readFile('headFile', 'Ask about a file', false),
    put: upload('putFile', 'Store a file'),
    post: upload('postFile', 'Store a file, as PUT does, or restore one', [RESTORE], ['NOT_FOUND']),
    delete: operation({
      operationId: 'deleteFile',
      tag: 'files',
      summary: 'Delete a file',
      parameters: [PATH, ...DELETE_PARAMETERS],
      answers: { 204: { description: 'Deleted.', headers: ['Broker-Position'] } },
      problems: DELETE_PROBLEMS,
    }),
    options: options('fileOptions', [PATH]),
  },
  '/files/sync': {
    post: operation({
      operationId: 'syncFiles',
      tag: 'files',
      summary: 'Wait until the disk is told',
      description:
        'Answers when every change made on disk before is told by an event at or before `position`. A file called `sync` in the root is stored with PUT.',
      answers: {
        200: {
          description: 'Told.',
          content: { 'application/json': schemaRef('SyncAnswer') },
          headers: ['Broker-Position'],
        },
      },
      problems: ['UNAUTHENTICATED', 'FORBIDDEN', 'UNAVAILABLE'],
    }),
  },
  '/files/{directory}/': directory('Directory', [DIRECTORY]),
  '/files/': directory('Root', []),
}

function readFile(operationId: string, summary: string, isGet: boolean): Operation {
  const body = isGet ? { content: CONTENT } : {}
  return operation({
    operationId,
    tag: 'files',
    summary,
    parameters: [PATH, ...VERSION_PARAMETERS, ...READ_PARAMETERS],
    answers: {
      200: {
        description:
          'The content, of the type that its name tells; with `versions` a `VersionList` as JSON.',
        headers: [...VALIDATORS, 'Accept-Ranges'],
        ...body,
      },
      ...(isGet && {
        206: {
          description: 'A part of it; several as multipart/byteranges.',
          headers: [...VALIDATORS, 'Content-Range'],
          ...body,
        },
      }),
      304: { description: 'Not changed.', headers: VALIDATORS },
      307: { description: 'It is a directory.', headers: ['Location'] },
    },
    problems: isGet ? [...READ_PROBLEMS, 'RANGE_NOT_SATISFIABLE'] : READ_PROBLEMS,
    takesTicket: isGet,
  })
}

function upload(
  operationId: string,
  summary: string,
  parameters: readonly Parameter[] = [],
  problems: readonly ProblemCode[] = [],
): Operation {
  const content = { 'application/json': schemaRef('UploadAnswer') }
  const headers: readonly HeaderName[] = [...VALIDATORS, 'Broker-Position']
  return operation({
    operationId,
    tag: 'files',
    summary,
    description:
      'What is answered is on the disk, power loss included. A failed upload leaves nothing. The same content again tells no event and needs only the right to create.',
    parameters: [PATH, ...parameters, ...WRITE_PARAMETERS, ...DIGEST_PARAMETERS],
    body: CONTENT,
    answers: {
      200: { description: 'Replaced, or the same content again.', content, headers },
      201: { description: 'New.', content, headers: [...headers, 'Location'] },
    },
    problems: [...UPLOAD_PROBLEMS, 'DIGEST_MISMATCH', ...problems],
  })
}

/** What is done with a directory; the root has no name. */
function directory(suffix: string, path: readonly Parameter[]): PathItem {
  return {
    get: list(`list${suffix}`, 'List a directory', path, true),
    head: list(`head${suffix}`, 'Ask about a directory', path, false),
    post: storeForm(`postTo${suffix}`, path),
    delete: operation({
      operationId: `delete${suffix}`,
      tag: 'files',
      summary: 'Delete every file below a directory',
      parameters: [...path, { ...RECURSIVE, required: true, example: 'true' }],
      answers: { 204: { description: 'Deleted.', headers: ['Broker-Position'] } },
      problems: DELETE_PROBLEMS,
    }),
    options: options(`options${suffix}`, path),
  }
}

function list(
  operationId: string,
  summary: string,
  path: readonly Parameter[],
  isGet: boolean,
): Operation {
  const content = {
    'application/json': Type.Union([schemaRef('Listing'), schemaRef('DeletedListing')]),
    'text/html': Type.String(),
    'application/x-ndjson': Type.String({ description: 'One `ListingEntry` a line.' }),
    'application/x-tar': Type.String({
      format: 'binary',
      description: 'Every file below it that may be read, in the order of their paths.',
    }),
  }
  return operation({
    operationId,
    tag: 'files',
    summary,
    description: 'Shows what one may list and the directories that lead to it.',
    parameters: [...path, ...LISTING_PARAMETERS],
    answers: {
      200: { description: 'The listing.', headers: ['Link'], ...(isGet && { content }) },
    },
    problems: ['PATH_INVALID', 'UNAUTHENTICATED', 'NOT_FOUND', 'NOT_ACCEPTABLE', 'UNAVAILABLE'],
  })
}

function storeForm(operationId: string, path: readonly Parameter[]): Operation {
  const content = { 'application/json': schemaRef('FormAnswer') }
  return operation({
    operationId,
    tag: 'files',
    summary: 'Store every file of a form',
    description: 'Each under its filename. All or none.',
    parameters: [...path, ...WRITE_PARAMETERS],
    body: {
      'multipart/form-data': Type.Object(
        {},
        { additionalProperties: Type.String({ format: 'binary' }) },
      ),
    },
    answers: {
      200: { description: 'None of them is new.', content, headers: ['Broker-Position'] },
      201: { description: 'At least one is new.', content, headers: ['Broker-Position'] },
    },
    problems: UPLOAD_PROBLEMS,
  })
}

function options(operationId: string, path: readonly Parameter[]): Operation {
  return operation({
    operationId,
    tag: 'files',
    summary: 'Ask for the methods',
    parameters: path,
    answers: { 204: ALLOWED },
  })
}
