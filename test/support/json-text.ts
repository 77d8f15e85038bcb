import fc from 'fast-check'

const SPACE = ['', '', '', ' ', '\t', ' \t ']
const LINE_BREAKS = ['\n', '\r', '\r\n ', '\n\n']

/** Text of a JSON value as no serialiser writes it: every escape, any number, keys twice, odd space. */
export function jsonText(options: { readonly lineBreaks: boolean }): fc.Arbitrary<string> {
  const space = fc.constantFrom(...SPACE, ...(options.lineBreaks ? LINE_BREAKS : []))
  const number = fc
    .stringMatching(/^-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?$/)
    .filter((text) => text !== '')
  const character = fc.oneof(
    { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 4 }).map(escaped) },
    fc.constantFrom('\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t', '\u2028', '\ufeff'),
    fc.stringMatching(/^\\u[0-9a-fA-F]{4}$/),
  )
  const string = fc.array(character, { maxLength: 6 }).map((parts) => `"${parts.join('')}"`)
  const { value } = fc.letrec<{ value: string }>((tie) => {
    const spaced = fc.tuple(space, tie('value'), space).map((parts) => parts.join(''))
    const member = fc
      .tuple(space, string, space, spaced)
      .map(([a, key, b, v]) => `${a}${key}${b}:${v}`)
    return {
      value: fc.oneof(
        { maxDepth: 3, depthIdentifier: 'json' },
        number,
        string,
        fc.constantFrom('true', 'false', 'null', '{}', '[]', '[ ]', '{\t}'),
        fc.array(spaced, { maxLength: 4 }).map((items) => `[${items.join(',')}]`),
        fc.array(member, { maxLength: 4 }).map((members) => `{${members.join(',')}}`),
      ),
    }
  })
  return value
}

/** Without what JSON does not allow in a string as it is. */
function escaped(text: string): string {
  return JSON.stringify(text.toWellFormed()).slice(1, -1)
}
