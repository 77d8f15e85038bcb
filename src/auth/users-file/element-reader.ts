import type { FaultList } from './users-fault.ts'
import type { XmlElement } from './users-xml.ts'

/** User and role names, and ids of tokens. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

const MAX_NOTE_LENGTH = 500

export function isName(text: string): boolean {
  return NAME.test(text)
}

/** `text` in quotes when it can be a name; nothing of it when it may be a hash or a token put there by mistake. */
export function quotedName(text: string): string {
  const isPlain = /^[\w.:-]{1,64}$/.test(text) && !/^[0-9a-f]{32,}$|dbk_/i.test(text)
  return isPlain ? `"${text}"` : 'of an unusual name'
}

/**
 * Reads attributes of one element, reporting what is missing, malformed or unknown. A field that had a
 * fault reads as undefined, so that one fault is told once and the walk goes on.
 */
export class ElementReader {
  readonly element: XmlElement
  readonly #faults: FaultList

  constructor(
    element: XmlElement,
    faults: FaultList,
    allowed: { readonly attributes: readonly string[]; readonly children: readonly string[] },
  ) {
    this.element = element
    this.#faults = faults
    for (const name of element.attributes.keys()) {
      if (!allowed.attributes.includes(name)) this.fault(`unknown attribute ${quotedName(name)}`)
    }
    for (const child of element.children) {
      if (allowed.children.includes(child.name)) continue
      faults.add(child, `unknown element ${quotedName(child.name)} in ${quotedName(element.name)}`)
    }
    if (element.hasText) this.fault(`text is not allowed in ${quotedName(element.name)}`)
  }

  fault(message: string): void {
    this.#faults.add(this.element, message)
  }

  /** The children of the given name, in order. */
  all(name: string): readonly XmlElement[] {
    return this.element.children.filter((child) => child.name === name)
  }

  optional(attribute: string): string | undefined {
    return this.element.attributes.get(attribute)
  }

  required(attribute: string): string | undefined {
    const value = this.optional(attribute)
    if (value === undefined) this.fault(`the attribute "${attribute}" is missing`)
    return value
  }

  /** A required name within the grammar of names. */
  name(attribute: string): string | undefined {
    const value = this.required(attribute)
    if (value === undefined || isName(value)) return value
    this.fault(`"${attribute}" is not 1 to 64 of A-Z a-z 0-9 . _ - with a letter or digit first`)
    return undefined
  }

  /** A list of words set apart by white space, none twice. */
  words(attribute: string, text: string): readonly string[] {
    const words = text.split(/ +/).filter((word) => word !== '')
    const unique = [...new Set(words)]
    if (unique.length < words.length) this.fault(`"${attribute}" names one thing twice`)
    return unique
  }

  /** SHA-256 as 64 hex digits of either case; read in lower case. */
  sha256(attribute: string): string | undefined {
    const value = this.required(attribute)
    if (value === undefined || /^[0-9a-fA-F]{64}$/.test(value)) return value?.toLowerCase()
    this.fault(`"${attribute}" is not 64 hexadecimal digits`)
    return undefined
  }

  note(): string | undefined {
    const note = this.optional('note')
    // Counted as a schema counts, and as a person does.
    if (note === undefined || [...note].length <= MAX_NOTE_LENGTH) return note
    this.fault(`"note" is longer than ${MAX_NOTE_LENGTH} characters`)
    return undefined
  }
}
