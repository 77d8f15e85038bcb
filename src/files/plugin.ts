import multipart from '@fastify/multipart'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { BrokerError } from '../protocol/problem.ts'
import { parseSwitch } from '../protocol/query-switch.ts'
import { deleteDirectory, deleteOne } from './http/delete-files.ts'
import { parseFileName, parseFileTarget } from './http/file-target.ts'
import { getFile } from './http/get-file.ts'
import { getListing } from './http/get-listing.ts'
import { getDeleted, getVersion, getVersions, type HistoryDeps } from './http/get-versions.ts'
import { postFiles } from './http/post-files.ts'
import { postSync, SYNC_PATH, type SyncDeps } from './http/post-sync.ts'
import { putFile, type UploadDeps } from './http/put-file.ts'
import { restoreFile } from './http/restore-file.ts'

export interface FilesPluginDeps extends HistoryDeps, UploadDeps, SyncDeps {}

const URLS = ['/files', '/files/*']

const FORM_LIMITS = {
  fileSize: Number.POSITIVE_INFINITY,
  files: 1000,
  fields: 1000,
  fieldSize: 64 * 1024,
}

const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS']

/** `/files` in all its methods. Paths are read from the raw target: a router decodes too early. */
export async function filesPlugin(app: FastifyInstance, deps: FilesPluginDeps): Promise<void> {
  // A file is stored as it comes, whatever type it is said to have; only forms are read.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // When it is sent: a request that identity refuses does not come to a hook of ours before.
  app.addHook('onSend', (_request, reply, payload, done) => {
    // An uploaded page must not act in the name of whoever opens it.
    reply.header('x-content-type-options', 'nosniff')
    if (!reply.hasHeader('content-security-policy')) {
      reply.header('content-security-policy', 'sandbox')
    }
    done(null, payload)
  })
  for (const url of URLS) registerRoutes(app, url, deps)
  // Apart from the others: what reads forms waits in each request, which is felt in a small download.
  await app.register(async (scope) => {
    await scope.register(multipart, { limits: FORM_LIMITS })
    for (const url of URLS) registerUploads(scope, url, deps)
  })
}

function registerRoutes(app: FastifyInstance, url: string, deps: FilesPluginDeps): void {
  app.route({
    method: ['GET', 'HEAD'],
    url,
    handler: (request, reply) => {
      const target = parseFileTarget(targetOf(request))
      const { path, isDirectory, query } = target
      if (path === '' || isDirectory) {
        return parseSwitch(query, 'deleted')
          ? getDeleted(deps, target, request, reply)
          : getListing(deps.store, target, request, reply)
      }
      if (parseSwitch(query, 'versions')) return getVersions(deps, path, request, reply)
      const version = query.get('version')
      return version === null
        ? getFile(deps, path, request, reply)
        : getVersion(deps, path, version, request, reply)
    },
  })
  app.delete(url, (request, reply) => {
    const target = parseFileTarget(targetOf(request))
    const { path, isDirectory } = target
    refuseOnWrite(request, 'restore')
    return path === '' || isDirectory
      ? deleteDirectory(deps, target, request, reply)
      : deleteOne(deps, path, request, reply)
  })
  app.options(url, (_request, reply) => reply.header('allow', METHODS.join(', ')).code(204).send())
}

function registerUploads(app: FastifyInstance, url: string, deps: FilesPluginDeps): void {
  app.put(url, (request, reply) => {
    const path = parseFileName(targetOf(request))
    refuseOnWrite(request, 'restore')
    if (request.isMultipart()) throw formOnFile()
    return putFile(deps, path, request, reply)
  })
  app.post(url, (request, reply) => {
    const { path, isDirectory, query } = parseFileTarget(targetOf(request))
    refuseOnWrite(request)
    const version = query.get('restore')
    if (path === '' || isDirectory) {
      if (version !== null || !request.isMultipart()) throw rawOnDirectory()
      return postFiles(deps, path, request, reply)
    }
    if (path === SYNC_PATH && version === null) return postSync(deps, request, reply)
    if (request.isMultipart()) throw formOnFile()
    return version === null
      ? putFile(deps, path, request, reply)
      : restoreFile(deps, path, version, request, reply)
  })
}

function targetOf({ raw }: FastifyRequest): string {
  return raw.url ?? '/'
}

/** What was meant for a version must not be done to the present content. */
function refuseOnWrite(request: FastifyRequest, ...others: readonly string[]): void {
  const { query } = parseFileTarget(targetOf(request))
  const name = ['version', 'versions', 'deleted', ...others].find((one) => query.has(one))
  if (name === undefined) return
  throw new BrokerError('REQUEST_INVALID', `${request.method} does not know ?${name}`)
}

function formOnFile(): BrokerError {
  return new BrokerError('REQUEST_INVALID', 'a form is sent to a directory, with a trailing slash')
}

function rawOnDirectory(): BrokerError {
  return new BrokerError('REQUEST_INVALID', 'a raw body is sent to the path of a file')
}
