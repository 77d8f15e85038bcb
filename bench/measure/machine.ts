import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Facts } from './page.ts'

/** What the figures were taken on. */
export function machineFacts(): Facts {
  const [cpu] = cpus()
  return [
    ['Processor', `${cpu?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores`],
    ['Memory', `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ['Kernel', `Linux ${release()}`],
    ['Distribution', distribution()],
    ['File system of the data', fileSystemOf(tmpdir())],
    ['Load before the run', readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ')],
  ]
}

/** Servers lie where the PATH of most users does not lead. */
export const PROGRAM_PATH = `${process.env['PATH'] ?? ''}:/usr/sbin`

export function isInstalled(program: string): boolean {
  return PROGRAM_PATH.split(':').some((directory) => existsSync(join(directory, program)))
}

/** The version that a program prints, or `missing`. */
export function versionOf(command: string, args: readonly string[]): string {
  try {
    const text = execFileSync('sh', ['-c', `"$0" "$@" 2>&1 || true`, command, ...args], {
      encoding: 'utf8',
      env: { ...process.env, PATH: PROGRAM_PATH },
    })
    return /\d+\.\d+[^\s,)]*/.exec(text)?.[0] ?? 'missing'
  } catch {
    return 'missing'
  }
}

/** The version of an installed package, or `missing`. */
export function packageVersion(name: string): string {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  if (!existsSync(file)) return 'missing'
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }
  return version
}

function distribution(): string {
  const text = readFileSync('/etc/os-release', 'utf8')
  return /^PRETTY_NAME="(.*)"/m.exec(text)?.[1] ?? 'unknown'
}

function fileSystemOf(path: string): string {
  const text = execFileSync('df', ['--output=fstype', path], { encoding: 'utf8' })
  return text.trim().split('\n').at(-1) ?? 'unknown'
}
