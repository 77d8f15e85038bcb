import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { renderIdentity, renderLocations } from './front-locations.ts'
import { renderMain } from './front-main.ts'
import type { FrontOptions } from './front-options.ts'
import { renderErrorPages } from './front-problems.ts'

/** Where Debian and Alpine keep the modules that their files name relative to the prefix. */
const MODULES = '/usr/lib/nginx/modules'

const IDENTITY = 'broker-identity.conf'

/** The configuration of Nginx in front of the broker: file names within the prefix, and their text. */
export function renderFront(options: FrontOptions): ReadonlyMap<string, string> {
  return new Map([
    ['nginx.conf', renderMain(options)],
    [IDENTITY, renderIdentity(options)],
    ['broker-errors.conf', renderErrorPages()],
    ['broker-locations.conf', renderLocations(options)],
  ])
}

/**
 * Writes the configuration into `dir`, which becomes the prefix that Nginx is started with: the files,
 * `run/` for pid, logs and temporary files, and the link `modules`.
 */
export async function writeFront(dir: string, options: FrontOptions): Promise<void> {
  await mkdir(join(dir, 'run'), { recursive: true })
  // Nginx reads its files before it gives up root; nobody else needs the secret.
  const mode = options.secret === '' ? 0o644 : 0o600
  for (const [name, text] of renderFront(options)) {
    // Written anew: a file that is there would keep its mode.
    await rm(join(dir, name), { force: true })
    await writeFile(join(dir, name), text, { mode: name === IDENTITY ? mode : 0o644 })
  }
  await linkModules(join(dir, 'modules'))
}

async function linkModules(path: string): Promise<void> {
  try {
    await symlink(MODULES, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}
