/** Where one member of a JSON object lies in its text. */
export interface JsonMember {
  readonly key: string
  /** Index of the opening quote of the key. */
  readonly start: number
  /** Index of the first character of the value. */
  readonly valueStart: number
  /** Index after the last character of the value. */
  readonly end: number
}

/**
 * Finds the members of the outermost object, so that a member can be cut out and the rest keeps its bytes:
 * `JSON.parse` and `JSON.stringify` would round large numbers and reorder integer keys.
 *
 * @param text - one JSON object that `JSON.parse` has accepted; nothing is checked again here
 */
export function membersOf(text: string): JsonMember[] {
  const members: JsonMember[] = []
  let at = skipSpace(text, text.indexOf('{') + 1)
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at)
    const valueStart = skipSpace(text, text.indexOf(':', keyEnd) + 1)
    const end = endOfValue(text, valueStart)
    members.push({ key: JSON.parse(text.slice(at, keyEnd)), start: at, valueStart, end })
    at = skipSpace(text, end)
    if (text[at] !== ',') break
    at = skipSpace(text, at + 1)
  }
  return members
}

/** The text without some of its members; what is kept keeps its bytes and its order. */
export function withoutMembers(
  text: string,
  members: readonly JsonMember[],
  isLeftOut: (member: JsonMember) => boolean,
): string {
  const [first] = members
  const last = members.at(-1)
  if (first === undefined || last === undefined || !members.some(isLeftOut)) return text
  let kept = ''
  let previousEnd = first.start
  for (const member of members) {
    if (!isLeftOut(member)) {
      // Together with the comma and the space before it, unless it is now the first.
      kept += text.slice(kept === '' ? member.start : previousEnd, member.end)
    }
    previousEnd = member.end
  }
  return text.slice(0, first.start) + kept + text.slice(last.end)
}

/** The raw text of each element of a JSON array that `JSON.parse` has accepted, without space around. */
export function elementsOf(text: string): string[] {
  const elements: string[] = []
  let at = skipSpace(text, text.indexOf('[') + 1)
  while (at < text.length && text[at] !== ']') {
    const end = endOfValue(text, at)
    elements.push(text.slice(at, end))
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return elements
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1
  return at
}

function endOfString(text: string, quote: number): number {
  for (let at = quote + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '"') return at + 1
  }
  return text.length
}

function endOfValue(text: string, start: number): number {
  const first = text[start]
  if (first === '"') return endOfString(text, start)
  if (first === '{' || first === '[') return endOfNested(text, start)
  let at = start
  while (at < text.length && !',}] \n\r\t'.includes(text[at] ?? '')) at += 1
  return at
}

function endOfNested(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at += 1) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at) - 1
    else if (character === '{' || character === '[') depth += 1
    else if (character === '}' || character === ']') {
      depth -= 1
      if (depth === 0) return at + 1
    }
  }
  return text.length
}
