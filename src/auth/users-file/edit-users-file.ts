import { Buffer } from 'node:buffer'
import { err, ok, type Result } from '../../protocol/result.ts'
import { parseUsersFile } from './parse-users-file.ts'
import { parseUsersXml, type XmlElement } from './users-xml.ts'
import { escapeAttribute, insertChild, removeElement, setAttribute } from './xml-splice.ts'

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
  const expires = expiresMs === undefined ? '' : ` expires="${writtenTime(expiresMs)}"`
  const noted = note === undefined ? '' : ` note="${escapeAttribute(note)}"`
  return `<token id="${escapeAttribute(id)}" sha256="${sha256}"${expires}${noted}/>`
}

/**
 * Adds a token to a user, after those that are there, touching nothing else.
 *
 * @param text - a valid users file
 * @returns the new text, or why there is none, in words fit for a user
 */
export function addToken(text: string, user: string, token: NewToken): Result<string> {
  return edited(text, (root) => {
    const element = userIn(root, user)
    if (element === undefined) return noUser(user)
    const last = element.children.findLast(({ name }) => name === 'token')
    return ok(insertChild(text, element, tokenElement(token), last))
  })
}

/** Removes the token with this id. */
export function removeToken(text: string, id: string): Result<string> {
  return edited(text, (root) => {
    const element = tokenIn(root, id)
    return element === undefined ? noToken(id) : ok(removeElement(text, element))
  })
}

/** Gives a token another end. */
export function limitToken(text: string, id: string, expiresMs: number): Result<string> {
  return edited(text, (root) => {
    const element = tokenIn(root, id)
    if (element === undefined) return noToken(id)
    return ok(setAttribute(text, element, 'expires', writtenTime(expiresMs)))
  })
}

/** Adds a user without credentials, after those that are there. */
export function addUser(text: string, user: string, roles: readonly string[]): Result<string> {
  return edited(text, (root) => {
    const named = `<user name="${escapeAttribute(user)}"`
    const element =
      roles.length === 0 ? `${named}/>` : `${named} roles="${escapeAttribute(roles.join(' '))}"/>`
    const last =
      root.children.findLast(({ name }) => name === 'user') ??
      root.children.findLast(({ name }) => name === 'role')
    return ok(insertChild(text, root, element, last))
  })
}

/** Removes a user and all credentials of it. */
export function removeUser(text: string, user: string): Result<string> {
  return edited(text, (root) => {
    const element = userIn(root, user)
    return element === undefined ? noUser(user) : ok(removeElement(text, element))
  })
}

/** What an edit leaves must be a users file: an id may be taken, a role unknown. */
function edited(text: string, edit: (root: XmlElement) => Result<string>): Result<string> {
  const root = parseUsersXml(Buffer.from(text))
  if (!root.ok) return err(`the users file is not valid: ${root.error.message}`)
  const changed = edit(root.value)
  if (!changed.ok) return changed
  const file = parseUsersFile(Buffer.from(changed.value), { nowMs: 0, hasAdminToken: true })
  if (file.ok) return changed
  const [fault] = file.error
  return err(`the users file would not be valid: line ${fault?.line}: ${fault?.message}`)
}

function userIn(root: XmlElement, user: string): XmlElement | undefined {
  return root.children.find(
    ({ name, attributes }) => name === 'user' && attributes.get('name') === user,
  )
}

function tokenIn(root: XmlElement, id: string): XmlElement | undefined {
  return root.children
    .filter(({ name }) => name === 'user')
    .flatMap(({ children }) => children)
    .find(({ name, attributes }) => name === 'token' && attributes.get('id') === id)
}

function noUser(user: string): Result<string> {
  return err(`there is no user "${user}" in the users file`)
}

function noToken(id: string): Result<string> {
  return err(`there is no token "${id}" in the users file`)
}

function writtenTime(ms: number): string {
  return new Date(ms).toISOString().replace('.000', '')
}
