import { basename } from 'node:path'

/** A directive of Nginx with its arguments, and what its braces hold. */
export interface Directive {
  readonly name: string
  readonly args: readonly string[]
  readonly block: readonly Directive[]
}

/**
 * Reads what `nginx -T` prints into the effective configuration: every `include` of a file that was
 * printed is replaced by its content.
 */
export function parseDump(dump: string): readonly Directive[] {
  const [, ...parts] = dump.split(/^# configuration file (.+):$/m)
  const files = new Map<string, string>()
  for (let i = 0; i + 1 < parts.length; i += 2) {
    files.set(basename(parts[i] ?? ''), parts[i + 1] ?? '')
  }
  const [main = ''] = files.values()
  return parse(tokenize(main), files)
}

/** Every directive of that name, with the blocks it lies in, from outside to inside. */
export function findDirectives(
  directives: readonly Directive[],
  name: string,
  within: readonly Directive[] = [],
): readonly { readonly directive: Directive; readonly within: readonly Directive[] }[] {
  return directives.flatMap((directive) => [
    ...(directive.name === name ? [{ directive, within }] : []),
    ...findDirectives(directive.block, name, [...within, directive]),
  ])
}

function parse(tokens: string[], files: ReadonlyMap<string, string>): readonly Directive[] {
  const directives: Directive[] = []
  let words: string[] = []
  for (let token = tokens.shift(); token !== undefined && token !== '}'; token = tokens.shift()) {
    if (token !== ';' && token !== '{') {
      words.push(unquote(token))
      continue
    }
    const [name = '', ...args] = words
    words = []
    const included = name === 'include' ? files.get(basename(args[0] ?? '')) : undefined
    if (included !== undefined) directives.push(...parse(tokenize(included), files))
    else directives.push({ name, args, block: token === '{' ? parse(tokens, files) : [] })
  }
  return directives
}

function tokenize(text: string): string[] {
  const tokens = text.match(/#.*|"[^"]*"|'[^']*'|[{};]|[^\s{};"'#][^\s{};]*/g) ?? []
  return tokens.filter((token) => !token.startsWith('#'))
}

function unquote(token: string): string {
  return /^(["']).*\1$/s.test(token) ? token.slice(1, -1) : token
}
