import { err, ok, type Result } from '../../protocol/result.ts'

/** What holds the event log. */
export type EventsEngine =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'memory' }

/** What holds the default volume. */
export interface FilesEngine {
  readonly kind: 'file'
  readonly path: string
}

type ToPath = (text: string) => string

/** @param toPath - makes what follows the scheme absolute */
export function parseEventsEngine(text: string, toPath: ToPath): Result<EventsEngine> {
  const { scheme, rest } = splitScheme(text)
  if (scheme === 'memory') return rest === '' ? ok({ kind: 'memory' }) : err('memory: has no path')
  if (scheme === 'sqlite') return pathOf(rest, toPath, (path) => ({ kind: 'sqlite', path }))
  return err(`${refusal(scheme, 'nats')}; write sqlite:<path> or memory:`)
}

/** @param toPath - makes what follows the scheme absolute */
export function parseFilesEngine(text: string, toPath: ToPath): Result<FilesEngine> {
  const { scheme, rest } = splitScheme(text)
  if (scheme === 'file') return pathOf(rest, toPath, (path) => ({ kind: 'file', path }))
  return err(`${refusal(scheme, 's3')}; write file:<path>`)
}

/** Names the scheme alone: what follows it may hold a password. */
function refusal(scheme: string, planned: string): string {
  if (scheme === '') return 'names no engine'
  return scheme === planned
    ? `${scheme}: is an engine that this version does not have`
    : `${JSON.stringify(`${scheme}:`)} is no engine`
}

function splitScheme(text: string): { scheme: string; rest: string } {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/s.exec(text) ?? []
  return { scheme, rest }
}

/** `file:///srv`, `file:/srv` and `file:srv` are all written; only an empty authority has a meaning. */
function pathOf<Engine>(
  rest: string,
  toPath: ToPath,
  create: (path: string) => Engine,
): Result<Engine> {
  const path = rest.startsWith('///') ? rest.slice(2) : rest
  if (path === '') return err('needs a path')
  if (path.startsWith('//')) return err('names another machine; write a path')
  return ok(create(toPath(path)))
}
