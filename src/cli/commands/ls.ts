import type { FileEntry } from '../../client/index.ts'
import { CLIENT_OPTIONS, openSession } from '../client-options.ts'
import { defineCommand } from '../command.ts'

export const ls = defineCommand({
  usage: 'broker ls [-r] [-l] [DIRECTORY]',
  summary: 'Lists what is in a directory, or at the top; directories end with /.',
  options: {
    recursive: { type: 'boolean', short: 'r', help: 'all files below it' },
    long: { type: 'boolean', short: 'l', help: 'with size in bytes and time' },
    ...CLIENT_OPTIONS,
  },
  positionals: [0, 1],
  async run({ options, positionals }, terminal) {
    const { client, signal } = await openSession(options, terminal)
    const { recursive = false, json = false, long = false } = options
    const render = json ? JSON.stringify : long ? longLine : shortLine
    for await (const entry of client.files.list(positionals[0], { recursive, signal })) {
      await terminal.output.line(render(entry))
    }
    return 0
  },
})

function shortLine({ name, type }: FileEntry): string {
  return type === 'directory' ? `${name}/` : name
}

export function longLine(entry: FileEntry): string {
  const size = entry.size === null ? '-' : String(entry.size)
  const modified = entry.modified ?? '-'
  return `${size.padStart(14)}  ${modified.padEnd(24)}  ${shortLine(entry)}`
}
