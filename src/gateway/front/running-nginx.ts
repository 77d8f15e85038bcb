import { execFile } from 'node:child_process'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Directive, parseDump } from './front-dump.ts'

/** How an Nginx was started: `-p` and `-c`, where they were given. */
export interface NginxStart {
  readonly prefix: string | undefined
  readonly file: string | undefined
}

export interface NginxConfiguration {
  readonly directives: readonly Directive[]
  /** What names of served directories are relative to. */
  readonly prefix: string
  /** What names of certificates are relative to. */
  readonly directory: string
}

/**
 * The Nginx that run on this machine, as their processes say. Only those of root and of this account: anybody
 * may call a process so, and a configuration that is tested loads the modules that it names.
 */
export async function runningNginx(): Promise<readonly NginxStart[]> {
  const names = await readdir('/proc').catch(() => [])
  const pids = names.filter((name) => /^\d+$/.test(name))
  // A process that ends meanwhile is none.
  const found = await Promise.all(pids.map((pid) => startOf(pid).catch(() => [])))
  return found.flat()
}

async function startOf(pid: string): Promise<readonly NginxStart[]> {
  const title = await readFile(`/proc/${pid}/cmdline`, 'latin1')
  if (!title.startsWith('nginx: master process ')) return []
  const { uid } = await stat(`/proc/${pid}`)
  if (uid !== 0 && uid !== process.getuid?.()) return []
  const given = (flag: string) => new RegExp(` -${flag} ?([^\\s\\0]+)`).exec(title)?.[1]
  const prefix = given('p')
  const isRelative = prefix !== undefined && !isAbsolute(prefix)
  const cwd = isRelative ? await readlink(`/proc/${pid}/cwd`) : '/'
  return [{ prefix: prefix && resolve(cwd, prefix), file: given('c') }]
}

/** The effective configuration, as Nginx itself prints it. @throws {Error} with what Nginx says against it */
export async function dumpNginx({ prefix, file }: NginxStart): Promise<NginxConfiguration> {
  const args = [...(prefix ? ['-p', prefix] : []), ...(file ? ['-c', file] : []), '-T']
  const { stdout } = await runNginx(args)
  const [, main = ''] = /^# configuration file (.+):$/m.exec(stdout) ?? []
  const directory = dirname(main)
  return { directives: parseDump(stdout), prefix: prefix ?? (await builtInPrefix()), directory }
}

async function builtInPrefix(): Promise<string> {
  const { stderr } = await runNginx(['-V'])
  return /--prefix=(\S+)/.exec(stderr)?.[1] ?? '/usr/local/nginx'
}

/** @returns e.g. `1.22.1`, or undefined when there is no Nginx here */
export async function nginxVersion(): Promise<string | undefined> {
  const { stderr } = await runNginx(['-v']).catch(() => ({ stderr: '' }))
  return /nginx\/(\d+\.\d+\.\d+)/.exec(stderr)?.[1]
}

async function runNginx(args: readonly string[]) {
  // Where it lies is not on the path of ordinary accounts.
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin`
  const options = { env: { ...process.env, PATH: path }, maxBuffer: 64 * 2 ** 20 }
  try {
    return await promisify(execFile)('nginx', args, options)
  } catch (cause) {
    const { stderr, code } = cause as { readonly stderr?: string; readonly code?: unknown }
    const said = stderr?.split('\n').filter((line) => /\[(?:emerg|alert)\]/.test(line)) ?? []
    const words = code === 'ENOENT' ? 'nginx is not installed' : said.join('; ')
    throw new Error(words || 'nginx could not be asked', { cause })
  }
}
