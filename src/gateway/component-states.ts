import type { OpenFiles } from './open-files.ts'
import type { ComponentState } from './operations.ts'

/** What `/readyz` says of each part. A part that works less well than it could is ready, with a detail. */
export async function componentStates(
  files: OpenFiles,
): Promise<Readonly<Record<string, ComponentState>>> {
  const { state, reason } = files.watchStatus()
  const detail = reason === undefined ? state : `${state}: ${reason}`
  return {
    log: { ready: true },
    files: {
      ready: state !== 'offline',
      ...(state === 'offline' && { detail: 'the volume is offline' }),
    },
    watcher: { ready: state === 'watching' || state === 'degraded', detail },
  }
}
