import Type from 'typebox'
import type { ProblemCode } from '../../protocol/problem.ts'
import { UPLOAD_PROBLEMS } from './openapi-files.ts'
import type { HeaderName } from './openapi-headers.ts'
import { type Operation, operation, type PathItem } from './openapi-operation.ts'
import {
  CREATION_PARAMETERS,
  METHOD_OVERRIDE,
  PART_PARAMETERS,
  type Parameter,
  REPR_DIGEST_PARAMETERS,
  UPLOAD,
  UPLOAD_PARAMETERS,
  WRITE_PARAMETERS,
} from './openapi-parameters.ts'

const PART = { 'application/offset+octet-stream': Type.String({ format: 'binary' }) }

const PROGRESS: readonly HeaderName[] = ['Tus-Resumable', 'Upload-Offset', 'Upload-Expires']
const FINISHED: readonly HeaderName[] = ['ETag', 'Content-Location', 'Broker-Position']

const PART_PROBLEMS: readonly ProblemCode[] = [
  ...UPLOAD_PROBLEMS,
  'DIGEST_MISMATCH',
  'TUS_VERSION_UNSUPPORTED',
  'CHECKSUM_MISMATCH',
]

const UPLOAD_ONLY: readonly ProblemCode[] = [
  'NOT_FOUND',
  'TUS_VERSION_UNSUPPORTED',
  'UPLOAD_INTERRUPTED',
]

/** The routes of `src/files/tus/tus-plugin.ts`. */
export const UPLOADS_PATHS: Readonly<Record<string, PathItem>> = {
  '/uploads': {
    post: operation({
      operationId: 'createUpload',
      tag: 'files',
      summary: 'Begin a resumable upload',
      description:
        'tus 1.0.0 with creation, creation-with-upload, checksum, expiration and termination. Conditions and digests hold for the whole content, at the end too.',
      parameters: [...CREATION_PARAMETERS, ...WRITE_PARAMETERS, ...REPR_DIGEST_PARAMETERS],
      body: PART,
      answers: {
        201: { description: 'Begun.', headers: ['Location', ...PROGRESS, ...FINISHED] },
      },
      problems: PART_PROBLEMS,
    }),
    options: options('uploadsOptions', []),
  },
  '/uploads/{id}': {
    head: operation({
      operationId: 'headUpload',
      tag: 'files',
      summary: 'Ask how far an upload is',
      parameters: [UPLOAD, ...UPLOAD_PARAMETERS],
      answers: {
        200: {
          description: 'What is on the disk, and of a finished one where the file is.',
          headers: [...PROGRESS, 'Upload-Length', 'Upload-Metadata', ...FINISHED],
        },
      },
      problems: [...UPLOAD_PROBLEMS, ...UPLOAD_ONLY, 'DIGEST_MISMATCH'],
    }),
    patch: sendPart('sendPart', 'Send the next part', PART_PARAMETERS),
    post: sendPart('sendPartByPost', 'Send the next part by POST', [
      METHOD_OVERRIDE,
      ...PART_PARAMETERS,
    ]),
    delete: operation({
      operationId: 'deleteUpload',
      tag: 'files',
      summary: 'End an upload',
      description: 'The file that it became stays.',
      parameters: [UPLOAD, ...UPLOAD_PARAMETERS],
      answers: { 204: { description: 'Gone.', headers: ['Tus-Resumable'] } },
      problems: UPLOAD_ONLY,
    }),
    options: options('uploadOptions', [UPLOAD]),
  },
}

function sendPart(
  operationId: string,
  summary: string,
  parameters: readonly Parameter[],
): Operation {
  return operation({
    operationId,
    tag: 'files',
    summary,
    description: 'The answer to the last one tells where the file is, which is there then.',
    parameters: [UPLOAD, ...parameters],
    body: PART,
    answers: {
      204: { description: 'It is on the disk.', headers: [...PROGRESS, ...FINISHED] },
    },
    problems: [...PART_PROBLEMS, 'NOT_FOUND', 'UPLOAD_OFFSET_CONFLICT', 'UPLOAD_INTERRUPTED'],
  })
}

function options(operationId: string, parameters: readonly Parameter[]): Operation {
  return operation({
    operationId,
    tag: 'files',
    summary: 'Ask what is understood of tus',
    parameters,
    answers: {
      204: {
        description: 'Versions, extensions and limits.',
        headers: [
          'Tus-Resumable',
          'Tus-Version',
          'Tus-Extension',
          'Tus-Max-Size',
          'Tus-Checksum-Algorithm',
        ],
      },
    },
  })
}
