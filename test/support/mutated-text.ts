import fc from 'fast-check'

/** Texts like those of `of`, with some places cut out, doubled, swapped or overwritten. */
export function mutated(of: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const patch = fc.oneof(
    fc.constantFrom(...'{}[]",:\\*/.%-+ 0e\n\r\t\u0000\ufeff\ud800'),
    fc.constantFrom('null', 'true', '""', '{}', '[]', '1e999', '__proto__', '**', '\\u0000'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  )
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.nat({ max: 6 }),
    kind: fc.constantFrom('cut', 'double', 'overwrite', 'insert', 'truncate'),
    patch,
  })
  return fc.tuple(of, fc.array(edit, { maxLength: 4 })).map(([text, edits]) =>
    edits.reduce((before, { at, length, kind, patch: put }) => {
      const start = Math.floor(at * before.length)
      const [head, piece] = [before.slice(0, start), before.slice(start, start + length)]
      const tail = before.slice(start + length)
      switch (kind) {
        case 'cut':
          return head + tail
        case 'double':
          return head + piece + piece + tail
        case 'insert':
          return head + put + piece + tail
        case 'truncate':
          return head
        default:
          return head + put + tail
      }
    }, text),
  )
}
