import { Buffer } from 'node:buffer'
import { err, ok, type Result } from '../../protocol/result.ts'
import { LineTable } from './line-table.ts'
import { parseUsersFile } from './parse-users-file.ts'
import { parseUsersXml, type XmlElement } from './users-xml.ts'
import { tagsOf, type XmlTag } from './xml-tags.ts'

/** A `<token>` element to be written. */
export interface NewToken {
  readonly id: string
  /** Of the whole token, in lower-case hex. */
  readonly sha256: string
  readonly expiresMs?: number
  readonly note?: string
}

/** The element as it stands in a users file. */
export function tokenElement({ id, sha256, expiresMs, note }: NewToken): string {
  const expires =
    expiresMs === undefined
      ? ''
      : ` expires="${new Date(expiresMs).toISOString().replace('.000', '')}"`
  const noted = note === undefined ? '' : ` note="${escapeAttribute(note)}"`
  return `<token id="${escapeAttribute(id)}" sha256="${sha256}"${expires}${noted}/>`
}

/**
 * Adds a token to a user, touching nothing else: comments, order and layout stay.
 *
 * @param text - a valid users file
 * @returns the new text, or why there is none, in words fit for a user
 */
export function addToken(text: string, user: string, token: NewToken): Result<string> {
  const root = readRoot(text)
  if (!root.ok) return root
  const element = usersOf(root.value).find((one) => one.attributes.get('name') === user)
  if (element === undefined) return err(`there is no user "${user}" in the users file`)
  const start = offsetIn(text, element)
  const [open] = tagsOf(text, start)
  if (open === undefined) return err('the element of the user was not found')
  return checked(insertChild(text, element, open, tokenElement(token)))
}

/** Removes the token with this id, its line with it when nothing else stands there. */
export function removeToken(text: string, id: string): Result<string> {
  const root = readRoot(text)
  if (!root.ok) return root
  const element = usersOf(root.value)
    .flatMap((user) => user.children)
    .find((child) => child.name === 'token' && child.attributes.get('id') === id)
  if (element === undefined) return err(`there is no token "${id}" in the users file`)
  const start = offsetIn(text, element)
  const end = endOfElement(text, start)
  const before = /(\r\n|\r|\n)?[ \t]*$/.exec(text.slice(0, start))?.[0] ?? ''
  const isAlone = /^[ \t]*[\r\n]/.test(text.slice(end)) && /[\r\n]/.test(before)
  const from = isAlone ? start - before.length : start
  return checked(text.slice(0, from) + text.slice(end))
}

function readRoot(text: string): Result<XmlElement> {
  const root = parseUsersXml(Buffer.from(text))
  return root.ok ? root : err(`the users file is not valid: ${root.error.message}`)
}

/** What an edit leaves must be a users file: an id may be taken, a note too long. */
function checked(text: string): Result<string> {
  const file = parseUsersFile(Buffer.from(text), { nowMs: 0, hasAdminToken: true })
  if (file.ok) return ok(text)
  const [fault] = file.error
  return err(`the users file would not be valid: line ${fault?.line}: ${fault?.message}`)
}

function usersOf(root: XmlElement): readonly XmlElement[] {
  return root.children.filter((child) => child.name === 'user')
}

/** Places are those of the text without its byte order mark. */
function offsetIn(text: string, element: XmlElement): number {
  const mark = text.startsWith('\ufeff') ? 1 : 0
  return new LineTable(text.slice(mark)).offsetOf(element) + mark
}

function insertChild(text: string, parent: XmlElement, open: XmlTag, child: string): string {
  const newLine = /\r\n|\r|\n/.exec(text)?.[0] ?? '\n'
  const indent = /[ \t]*$/.exec(text.slice(0, open.start))?.[0] ?? ''
  const inner = `${newLine}${indent}  ${child}`
  if (open.kind === 'empty') {
    const tag = `${text.slice(open.start, open.end - 2).trimEnd()}>`
    return `${text.slice(0, open.start)}${tag}${inner}${newLine}${indent}</user>${text.slice(open.end)}`
  }
  const last = parent.children.findLast((one) => one.name === 'token')
  const at = last === undefined ? open.end : endOfElement(text, offsetIn(text, last))
  const isClosing = text.startsWith('</', at)
  return text.slice(0, at) + inner + (isClosing ? newLine + indent : '') + text.slice(at)
}

function endOfElement(text: string, start: number): number {
  let depth = 0
  for (const tag of tagsOf(text, start)) {
    if (tag.kind === 'open') depth += 1
    if (tag.kind === 'close') depth -= 1
    if (depth === 0) return tag.end
  }
  return text.length
}

function escapeAttribute(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/\s/g, ' ')
}
