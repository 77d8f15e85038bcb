import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { curveKeyPair } from 'zeromq'
import type { CurveKeys } from '../events/zmq/zmq-curve.ts'
import type { Settings } from './settings/settings.ts'

/**
 * The keys of this installation's CURVE endpoints, made when they are first needed. Clients are given the
 * public one; whoever reads the file can pose as the broker.
 */
export async function openCurveKeys({ data }: Settings): Promise<CurveKeys> {
  const path = join(data, 'state', 'curve.key')
  const present = await read(path)
  if (present !== undefined) return present
  await mkdir(dirname(path), { recursive: true, mode: 0o711 })
  const draft = `${path}.${randomUUID()}.tmp`
  await writeFile(draft, JSON.stringify(curveKeyPair()), { mode: 0o600, flush: true })
  // Linked and not renamed: of two processes that start at once, one pair wins for both.
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await rm(draft)
  const made = await read(path)
  if (made === undefined) throw new Error('the CURVE keys vanished while they were made')
  return made
}

async function read(path: string): Promise<CurveKeys | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const keys = parse(text)
  if (keys !== undefined) return keys
  throw new Error(`the CURVE keys in ${path} cannot be read; delete the file for new ones`)
}

/** Without the fault of the parser, whose words quote the text: a part of the secret key, perhaps. */
function parse(text: string): CurveKeys | undefined {
  try {
    const { publicKey, secretKey } = JSON.parse(text) as Partial<CurveKeys>
    const isPair = typeof publicKey === 'string' && typeof secretKey === 'string'
    return isPair ? { publicKey, secretKey } : undefined
  } catch {
    return undefined
  }
}
