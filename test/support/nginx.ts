import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const NGINX = '/usr/sbin/nginx'
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so'

/** Why tests that start Nginx cannot run here, for the `skip` of a test; false when they can. */
export const NGINX_MISSING: string | false = findMissing()

function findMissing(): string | false {
  if (!existsSync(NGINX)) return `${NGINX} is not installed (Debian: apt-get install nginx)`
  const { stderr } = spawnSync(NGINX, ['-V'], { encoding: 'utf8' })
  if (/--with-stream(?!=dynamic)\b/.test(stderr) || existsSync(STREAM_MODULE)) return false
  return 'the stream module of Nginx is not installed (Debian: apt-get install libnginx-mod-stream)'
}

export interface RunningNginx extends AsyncDisposable {
  close(): Promise<void>
}

export interface NginxOptions {
  /** The user to run as when the tests run as root. */
  readonly uid?: number
}

/**
 * Starts Nginx in the foreground with `dir` as its prefix, which holds `nginx.conf` and `run/`. Resolves
 * when all its ports accept.
 *
 * As root its workers run as another user: `dir` is made traversable for it.
 */
export async function startNginx(dir: string, options: NginxOptions = {}): Promise<RunningNginx> {
  await chmod(dir, 0o755)
  const listens = await listenAddresses(dir)
  const child = spawn(NGINX, ['-p', dir, '-c', 'nginx.conf', '-g', 'daemon off;'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...options,
  })
  let messages = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    messages += text
  })
  const exited = once(child, 'exit')
  const kill = () => child.kill('SIGTERM')
  process.once('exit', kill)
  const close = async (): Promise<void> => {
    process.off('exit', kill)
    if (child.exitCode === null && child.signalCode === null) kill()
    await exited
  }
  const failed = exited.then(() => {
    throw new Error(`Nginx did not start: ${messages}`)
  })
  const giveUp = new AbortController()
  try {
    const accepting = Promise.all(listens.map((address) => accepts(address, giveUp.signal)))
    await Promise.race([accepting, failed])
  } catch (error) {
    giveUp.abort()
    await close()
    throw error
  }
  failed.catch(() => {})
  return { close, [Symbol.asyncDispose]: close }
}

/** What `nginx -t` or `-T` says of the configuration in `dir`. */
export function runNginx(
  flag: '-t' | '-T',
  dir: string,
  options: NginxOptions & { readonly cwd?: string } = {},
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(NGINX, ['-p', dir, '-c', 'nginx.conf', flag], { encoding: 'utf8', ...options })
}

/**
 * A port of the loopback interface at which nothing listens, below those that the system gives out. Nobody else
 * who asks is given it while this process lives: a broker that was killed comes back to it. The UDP port of
 * that number stands for the claim, for all processes to see.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000)
    const claim = createSocket('udp4').unref()
    const bound = { port, address: '127.0.0.1', exclusive: true }
    const isClaimed = await new Promise<boolean>((resolve) => {
      claim.once('error', () => resolve(false)).bind(bound, () => resolve(true))
    })
    if (isClaimed && (await isFree(port))) return port
    claim.close()
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const isListening = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
  })
  if (!isListening) return false
  server.close()
  await once(server, 'close')
  return true
}

interface Address {
  readonly host: string
  readonly port: number
}

async function listenAddresses(dir: string): Promise<readonly Address[]> {
  const text = await readFile(join(dir, 'nginx.conf'), 'utf8')
  return [...text.matchAll(/^\s*listen (?:(\S+):)?(\d+)\b/gm)].map(([, host, port]) => ({
    host: host?.replaceAll(/[[\]]/g, '') ?? '127.0.0.1',
    port: Number(port),
  }))
}

async function accepts({ host, port }: Address, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await canConnect(host, port))) await delay(10)
}

function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
