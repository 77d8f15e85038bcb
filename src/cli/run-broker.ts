import { packageVersion } from '../gateway/version.ts'
import { COMMANDS, type CommandEntry } from './commands.ts'
import { describeFailure } from './describe-failure.ts'
import { EXIT_CODES, exitCodeOf } from './exit-code.ts'
import { OutputClosed } from './interruption.ts'
import type { Terminal } from './terminal.ts'
import { UsageError } from './usage-error.ts'

/**
 * Runs one command line of `broker`.
 *
 * @param argv - what follows the name of the program
 * @returns the exit code
 */
export async function runBroker(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return (await dispatch(argv, terminal)) ?? EXIT_CODES.ok
  } catch (thrown) {
    const error = reasonToEnd(thrown, terminal)
    const words = findCommand(argv)?.words ?? (isFirstWord(`${argv[0]}`) ? 1 : 0)
    const command = argv.slice(0, words).join(' ')
    if (!(error instanceof OutputClosed)) terminal.messages.write(describeFailure(error, command))
    return exitCodeOf(error)
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number | undefined> {
  const [first] = argv
  if (first === undefined) throw new UsageError('a command is missing')
  if (first === '--version')
    return void (await terminal.output.line(`broker ${await packageVersion()}`))
  if (first === '--help' || first === '-h') return void (await terminal.output.write(overview()))
  if (first === 'help') return dispatch([...argv.slice(1), '--help'], terminal)
  const found = findCommand(argv)
  if (found === undefined) return void (await helpOfGroup(argv, terminal))
  const command = await found.entry.load()
  const rest = argv.slice(found.words)
  if (asksForHelp(rest)) return void (await terminal.output.write(await command.help()))
  return command.run(rest, terminal)
}

interface FoundCommand {
  readonly entry: CommandEntry
  /** How many words name it. */
  readonly words: number
}

export function findCommand(argv: readonly string[]): FoundCommand | undefined {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (entry !== undefined) return { entry, words }
  }
  return undefined
}

/** True for `put`, and for `token` of `token create`. */
function isFirstWord(word: string): boolean {
  return Object.keys(COMMANDS).some((name) => `${name} `.startsWith(`${word} `))
}

/** `broker token --help` shows all that begins with `token`. */
async function helpOfGroup([first, second]: readonly string[], terminal: Terminal): Promise<void> {
  if (!isFirstWord(`${first}`)) throw new UsageError(`there is no command ${first}`)
  const asks = second === '--help' || second === '-h'
  if (!asks) throw new UsageError(`broker ${first} needs one of its commands`)
  await terminal.output.write(overview(`${first} `))
}

function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  const options = end === -1 ? argv : argv.slice(0, end)
  return options.includes('--help') || options.includes('-h')
}

export function overview(prefix = ''): string {
  const lines = Object.entries(COMMANDS)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, { summary }]) => `  ${name.padEnd(14)} ${summary}`)
  return `Usage: broker COMMAND [OPTION...] [ARGUMENT...]

Commands:
${lines.join('\n')}

broker COMMAND --help tells more; broker --version tells the version.

Environment of the commands that talk to a broker:
  BROKER_URL         where it is; default http://127.0.0.1:8080
  BROKER_TOKEN       the token
  BROKER_TOKEN_FILE  a file with the token, when BROKER_TOKEN is not set

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not authenticated or forbidden, 4 not found,
5 conflict, precondition or checksum, 6 network or broker not available, 130 interrupted
`
}

/** After an abort whatever fails, fails of it. */
function reasonToEnd(thrown: unknown, terminal: Terminal): unknown {
  return terminal.signal.aborted ? terminal.signal.reason : thrown
}
