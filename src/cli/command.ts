import { parseArgs } from 'node:util'
import type { Terminal } from './terminal.ts'
import { UsageError } from './usage-error.ts'

/** One option of a command; the table of them is what is parsed, checked and shown. */
export interface OptionSpec {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** What stands for the value in the help, e.g. `SECONDS`. */
  readonly value?: string
  readonly help: string
}

export type OptionTable = Readonly<Record<string, OptionSpec>>

/** What was given of a table of options. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]?: Table[Name]['type'] extends 'boolean' ? boolean : string
}

export interface Arguments<Table extends OptionTable> {
  readonly options: OptionValues<Table>
  readonly positionals: readonly string[]
}

/** One verb of `broker`. */
export interface Command {
  help(): string | Promise<string>
  /** @returns the exit code; 0 when it returns nothing */
  run(argv: readonly string[], terminal: Terminal): Promise<number | undefined>
}

export interface CommandSpec<Table extends OptionTable> {
  /** The command line, e.g. `broker put FILE PATH`. */
  readonly usage: string
  readonly summary: string
  /** Paragraphs for the help. */
  readonly details?: string
  readonly options: Table
  /** Fewest and most positional arguments. */
  readonly positionals: readonly [number, number]
  run(given: Arguments<Table>, terminal: Terminal): Promise<number | undefined>
}

export function defineCommand<const Table extends OptionTable>(spec: CommandSpec<Table>): Command {
  return {
    help: () => helpOf(spec),
    run: (argv, terminal) => spec.run(parseArguments(spec, argv), terminal),
  }
}

/** @throws {UsageError} for unknown options, missing values, too few or too many arguments */
export function parseArguments<Table extends OptionTable>(
  spec: Pick<CommandSpec<Table>, 'usage' | 'options' | 'positionals'>,
  argv: readonly string[],
): Arguments<Table> {
  const { values, positionals } = parsed(spec.options, argv)
  const [fewest, most] = spec.positionals
  if (positionals.length < fewest || positionals.length > most) {
    const few = positionals.length < fewest
    throw new UsageError(`too ${few ? 'few' : 'many'} arguments; usage: ${spec.usage}`)
  }
  return { options: values as OptionValues<Table>, positionals }
}

function parsed(options: OptionTable, argv: readonly string[]) {
  try {
    const config = Object.entries(options).map(([name, { type, short }]) => [
      name,
      { type, ...(short !== undefined && { short }) },
    ])
    return parseArgs({
      args: [...argv],
      options: Object.fromEntries(config),
      allowPositionals: true,
      strict: true,
    })
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new UsageError(message, { cause })
  }
}

function helpOf({ usage, summary, details, options }: CommandSpec<OptionTable>): string {
  const lines = Object.entries(options).map(([name, { short, value, help }]) => {
    const flag = `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`
    return `  ${flag.padEnd(28)} ${help}`
  })
  const paragraphs = [
    `Usage: ${usage}`,
    summary,
    ...(details === undefined ? [] : [details]),
    ...(lines.length === 0 ? [] : [`Options:\n${lines.join('\n')}`]),
  ]
  return `${paragraphs.join('\n\n')}\n`
}
