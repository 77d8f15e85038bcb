import { SyntaxValidator } from 'fast-xml-validator'
import { LineTable } from './line-table.ts'
import type { UsersFault } from './users-fault.ts'

const DECLARATION = /^<\?xml\s[^?<>]*\?>/
const UTF8_DECLARATION =
  /^<\?xml\s+version\s*=\s*(["'])1\.0\1(\s+encoding\s*=\s*(["'])utf-8\3)?(\s+standalone\s*=\s*(["'])(yes|no)\5)?\s*\?>$/i

// Comments come first, so that what they hold is passed over. `<!-->` is not a whole comment, but some
// parsers think so: refused, or two readers would disagree about what is commented out.
const SUSPECTS = /<!--(?!-?>)[\s\S]*?-->|<!|<\?|&(?!(?:amp|lt|gt|quot|apos);)/g

/**
 * The first reason why `text` is not the plain XML that this product reads: no document type, no entity
 * but the five of XML, no CDATA, no processing instruction, one root. What the validator lets pass is
 * looked for first (it accepts DOCTYPE, unknown entities and a bare `&` in attributes).
 *
 * @param text - decoded, with LF line ends
 */
export function syntaxFault(text: string): UsersFault | undefined {
  const lines = new LineTable(text)
  const declaration = DECLARATION.exec(text)?.[0] ?? ''
  if (declaration !== '' && !UTF8_DECLARATION.test(declaration)) {
    return { message: 'the XML declaration is not version 1.0 in UTF-8', line: 1, column: 1 }
  }
  // Blanked and not cut, so that offsets and the validator's lines stay those of the file.
  const body = declaration.replaceAll(/[^\n]/g, ' ') + text.slice(declaration.length)
  for (const { 0: suspect, index } of body.matchAll(SUSPECTS)) {
    const message = SUSPECT_MESSAGES[suspect]
    if (message !== undefined) return { message, ...lines.placeOf(index) }
  }
  return validatorFault(body, lines)
}

const SUSPECT_MESSAGES: Readonly<Record<string, string>> = {
  '<!': 'DOCTYPE, ENTITY, CDATA and malformed comments are not allowed',
  '<?': 'processing instructions are not allowed',
  '&': 'a "&" is written &amp; and only &amp; &lt; &gt; &quot; &apos; are allowed',
}

function validatorFault(body: string, lines: LineTable): UsersFault | undefined {
  try {
    SyntaxValidator.validate(body, {
      multipleRoots: false,
      invalidCharSequence: { comment: true, tagValue: true, attrLt: true },
    })
    return undefined
  } catch (error) {
    return asFault(error, body, lines)
  }
}

function asFault(error: unknown, body: string, lines: LineTable): UsersFault {
  const message = error instanceof Error ? error.message : ''
  // Several open elements are told as a list without a place: the file is cut off.
  if (message.startsWith("Invalid '[")) {
    const end = lines.placeOf(body.trimEnd().length)
    return { message: 'the file ends before its elements are closed', ...end }
  }
  const { line, col } = error as { line?: unknown; col?: unknown }
  return {
    message: `not well-formed: ${withoutContent(message)}`,
    line: typeof line === 'number' && line > 0 ? line : 1,
    column: typeof col === 'number' && col > 0 ? col : 1,
  }
}

const ELEMENT_NAMES =
  /^'(broker-users|role|user|anonymous|token|certificate|curve-key|oidc|claim|allow|deny)'$/

/** The validator quotes what it stumbled over, which may be a hash: only our own element names stay. */
function withoutContent(message: string): string {
  const words = message.replaceAll(/'[^']*'/g, (quoted) =>
    ELEMENT_NAMES.test(quoted) ? quoted : 'here',
  )
  const plain = words.replaceAll(/[^\x20-\x7e]/g, '').replace(/\.$/, '')
  return plain.charAt(0).toLowerCase() + plain.slice(1, 160)
}
