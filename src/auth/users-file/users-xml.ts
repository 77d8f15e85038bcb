import { XMLParser } from 'fast-xml-parser'
import { err, ok, type Result } from '../../protocol/result.ts'
import { decodeUtf8 } from './decode-utf8.ts'
import { LineTable } from './line-table.ts'
import type { UsersFault, UsersPlace } from './users-fault.ts'
import { syntaxFault } from './xml-syntax.ts'
import { tagsOf } from './xml-tags.ts'

/** Largest users file, in bytes: about 20,000 users. */
export const MAX_USERS_FILE_BYTES = 4 * 1024 * 1024

/** Deeper than the schema, which needs three. */
const MAX_DEPTH = 16

/** An element as written: fields copied one by one from the parser, which may be handed hostile names. */
export interface XmlElement extends UsersPlace {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** True when text other than white space stands between the children. */
  readonly hasText: boolean
}

/**
 * Reads well-formed XML within the bounds that keep it harmless; knows nothing of users.
 *
 * @returns the root element, or why the text was refused
 */
export function parseUsersXml(bytes: Uint8Array): Result<XmlElement, UsersFault> {
  if (bytes.length > MAX_USERS_FILE_BYTES) {
    const message = `the file is larger than ${MAX_USERS_FILE_BYTES} bytes`
    return err({ message, line: 1, column: 1 })
  }
  const decoded = decodeUtf8(bytes)
  if (!decoded.ok) return decoded
  const text = decoded.value.replaceAll(/\r\n?/g, '\n')
  const fault = syntaxFault(text)
  if (fault !== undefined) return err(fault)
  return parseTree(text)
}

function parseTree(text: string): Result<XmlElement, UsersFault> {
  const lines = new LineTable(text)
  const parser = new XMLParser({
    preserveOrder: true,
    captureMetaData: true,
    ignoreAttributes: false,
    attributeNamePrefix: '',
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    maxNestedTags: MAX_DEPTH,
  })
  try {
    const nodes: unknown = parser.parse(text)
    const roots = childrenOf(nodes, lines)
    const [root] = roots.elements
    if (root !== undefined && roots.elements.length === 1) return ok(root)
    return err({ message: 'the file has no single root element', line: 1, column: 1 })
  } catch {
    // The parser throws for depth and for names such as `__proto__`; its words may quote content.
    const place = tooDeepPlace(text, lines)
    const message =
      place === undefined
        ? 'a name is not allowed here'
        : `elements are nested more than ${MAX_DEPTH} deep`
    return err({ message, ...(place ?? reservedNamePlace(text, lines)) })
  }
}

const METADATA = XMLParser.getMetaDataSymbol().valueOf()
const ATTRIBUTES = ':@'

function childrenOf(
  nodes: unknown,
  lines: LineTable,
): { readonly elements: readonly XmlElement[]; readonly hasText: boolean } {
  const elements: XmlElement[] = []
  let hasText = false
  for (const node of Array.isArray(nodes) ? nodes : []) {
    if (typeof node !== 'object' || node === null) continue
    const name = Object.keys(node).find((key) => key !== ATTRIBUTES)
    if (name === undefined) continue
    const content: unknown = Reflect.get(node, name)
    if (name === '#text') hasText ||= typeof content === 'string' && content.trim() !== ''
    else {
      const inner = childrenOf(content, lines)
      elements.push({
        name,
        attributes: attributesOf(Reflect.get(node, ATTRIBUTES)),
        children: inner.elements,
        hasText: inner.hasText,
        ...lines.placeOf(startOf(Reflect.get(node, METADATA))),
      })
    }
  }
  return { elements, hasText }
}

function attributesOf(fields: unknown): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>()
  if (typeof fields !== 'object' || fields === null) return attributes
  for (const [name, value] of Object.entries(fields)) {
    // XML 1.0 section 3.3.3: white space in an attribute is read as spaces.
    if (typeof value === 'string') attributes.set(name, value.replaceAll(/[\t\n]/g, ' '))
  }
  return attributes
}

function startOf(metadata: unknown): number {
  const start: unknown =
    typeof metadata === 'object' && metadata !== null ? Reflect.get(metadata, 'startIndex') : 0
  return typeof start === 'number' ? start : 0
}

/** Where a tag of well-formed `text` first stands too deep. */
function tooDeepPlace(text: string, lines: LineTable): UsersPlace | undefined {
  let depth = 0
  for (const { start, kind } of tagsOf(text)) {
    if (kind === 'close') depth -= 1
    if (kind !== 'close' && depth >= MAX_DEPTH) return lines.placeOf(start)
    if (kind === 'open') depth += 1
  }
  return undefined
}

function reservedNamePlace(text: string, lines: LineTable): UsersPlace {
  for (const { start, end } of tagsOf(text)) {
    if (/[\s<](__proto__|constructor|prototype)[\s=/>]/.test(text.slice(start, end))) {
      return lines.placeOf(start)
    }
  }
  return { line: 1, column: 1 }
}
