import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { secretsIn } from '../support/secrets-in-logs.ts'

const BROKER = fileURLToPath(new URL('../../bin/broker.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface StartOptions {
  readonly env?: Record<string, string>
  readonly cwd?: string
}

/** Starts the command as a user does, without the variables of the test's own environment. */
export function startBroker(
  args: readonly string[],
  { env = {}, cwd }: StartOptions = {},
): ChildProcessWithoutNullStreams {
  const { PATH = '' } = process.env
  return spawn(process.execPath, [BROKER, ...args], {
    env: { PATH, BROKER_TOKEN: 'dbk_x', ...env },
    stdio: 'pipe',
    ...(cwd !== undefined && { cwd }),
  })
}

/** What it came to; a command says no secret where its faults are told. */
export async function ended(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  assert.deepEqual(secretsIn(stderr), [])
  return { code, stdout, stderr }
}

/** Runs the command to its end. */
export function runBroker(
  args: readonly string[],
  options: StartOptions & { readonly stdin?: string | Buffer } = {},
): Promise<Ended> {
  const child = startBroker(args, options)
  child.stdin.end(options.stdin ?? '')
  return ended(child)
}
