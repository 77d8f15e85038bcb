import Type from 'typebox'
import { type Content, type OperationSpec, operation, type PathItem } from './openapi-operation.ts'
import { CODE } from './openapi-parameters.ts'
import { schemaRef } from './schema-ref.ts'

/** The routes of `src/gateway/operations.ts` and of this description. */
export const BROKER_PATHS: Readonly<Record<string, PathItem>> = {
  '/': read('home', 'What runs here and where to go', {
    'application/json': schemaRef('Home'),
    'text/html': Type.String(),
  }),
  '/livez': read('isAlive', 'Whether the process answers', {
    'application/json': schemaRef('Liveness'),
  }),
  '/readyz': read(
    'isReady',
    'Whether each part can do its work',
    { 'application/json': schemaRef('Readiness') },
    {
      answers: {
        503: {
          description: 'Some part cannot.',
          content: { 'application/json': schemaRef('Readiness') },
        },
      },
    },
  ),
  '/metrics': read(
    'metrics',
    'Metrics for Prometheus; needs `observe`',
    { 'text/plain': Type.String() },
    { problems: ['UNAUTHENTICATED', 'FORBIDDEN'] },
  ),
  '/backup': read(
    'backup',
    'The state of the broker as a tar archive, with `?files` the files too; needs `administer`',
    { 'application/x-tar': Type.String({ format: 'binary' }) },
    { problems: ['UNAUTHENTICATED', 'FORBIDDEN', 'TOO_MANY_REQUESTS', 'STORAGE_FULL'] },
  ),
  '/problems/{code}': read(
    'describeProblem',
    'What a problem code means',
    { 'application/json': schemaRef('ProblemRow') },
    { parameters: [CODE], problems: ['NOT_FOUND'] },
  ),
  '/openapi.json': read('openApi', 'This document', { 'application/json': Type.Object({}) }),
  '/openapi': read('openApiPage', 'This document for people, to try', {
    'text/html': Type.String(),
  }),
  '/asyncapi.json': read('asyncApi', 'WebSocket, streams and ZeroMQ, as AsyncAPI', {
    'application/json': Type.Object({}),
  }),
}

function read(
  operationId: string,
  summary: string,
  content: Content,
  more: Partial<OperationSpec> = {},
): PathItem {
  const answers = { 200: { description: 'As asked for.', content }, ...more.answers }
  return { get: operation({ operationId, tag: 'broker', summary, ...more, answers }) }
}
