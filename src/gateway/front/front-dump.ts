import { dirname, matchesGlob, resolve } from 'node:path'

/** A directive of Nginx with its arguments, and what its braces hold. */
export interface Directive {
  readonly name: string
  readonly args: readonly string[]
  readonly block: readonly Directive[]
}

/** A directive with the blocks it lies in, from outside to inside. */
export interface PlacedDirective {
  readonly directive: Directive
  readonly within: readonly Directive[]
}

/**
 * Reads what `nginx -T` prints into the effective configuration: every `include` is replaced by the content
 * of the files that were printed for it.
 */
export function parseDump(dump: string): readonly Directive[] {
  const [, ...parts] = dump.split(/^# configuration file (.+):$/m)
  const files = new Map<string, string>()
  for (let i = 0; i + 1 < parts.length; i += 2) files.set(parts[i] ?? '', parts[i + 1] ?? '')
  const [main] = files
  return main === undefined ? [] : parse(tokenize(main[1]), { files, directory: dirname(main[0]) })
}

/** Every directive of that name. */
export function findDirectives(
  directives: readonly Directive[],
  name: string,
  within: readonly Directive[] = [],
): readonly PlacedDirective[] {
  return directives.flatMap((directive) => [
    ...(directive.name === name ? [{ directive, within }] : []),
    ...findDirectives(directive.block, name, [...within, directive]),
  ])
}

interface Dump {
  readonly files: ReadonlyMap<string, string>
  /** What relative names are relative to. */
  readonly directory: string
}

function parse(tokens: string[], dump: Dump): readonly Directive[] {
  const directives: Directive[] = []
  let words: string[] = []
  for (let token = tokens.shift(); token !== undefined && token !== '}'; token = tokens.shift()) {
    if (token !== ';' && token !== '{') {
      words.push(unquote(token))
      continue
    }
    const [name = '', ...args] = words
    words = []
    if (name === 'include') directives.push(...included(args[0] ?? '', dump))
    else directives.push({ name, args, block: token === '{' ? parse(tokens, dump) : [] })
  }
  return directives
}

function included(pattern: string, dump: Dump): readonly Directive[] {
  const path = resolve(dump.directory, pattern)
  return [...dump.files]
    .filter(([name]) => matchesGlob(resolve(name), path))
    .flatMap(([, text]) => parse(tokenize(text), dump))
}

function tokenize(text: string): string[] {
  const tokens = text.match(/#.*|"[^"]*"|'[^']*'|[{};]|[^\s{};"'#][^\s{};]*/g) ?? []
  return tokens.filter((token) => !token.startsWith('#'))
}

function unquote(token: string): string {
  return /^(["']).*\1$/s.test(token) ? token.slice(1, -1) : token
}
