import { err, ok, type Result } from '../../protocol/result.ts'
import { hasUsableAdministrator } from './administrators.ts'
import { CREDENTIAL_ELEMENTS, readCredential } from './credential-element.ts'
import { ElementReader, quotedName } from './element-reader.ts'
import { readGrant } from './grant-element.ts'
import { UniqueNames } from './unique-names.ts'
import { FaultList, type UsersFault } from './users-fault.ts'
import type { GrantRule, ListedCredential, RoleRule, UserRule, UsersFile } from './users-file.ts'
import { parseUsersXml, type XmlElement } from './users-xml.ts'

export interface UsersFileRules {
  /** Milliseconds since the epoch: an expired credential makes no usable administrator. */
  readonly nowMs: number
  /** True while the broker's own administrator token exists: it counts as the usable administrator. */
  readonly hasAdminToken: boolean
}

/**
 * Reads a users file: encoding, well-formedness, schema and meaning. Never throws, whatever the bytes.
 *
 * @returns the file, or every fault that was found, sorted by place
 */
export function parseUsersFile(
  bytes: Uint8Array,
  rules: UsersFileRules,
): Result<UsersFile, readonly UsersFault[]> {
  const root = parseUsersXml(bytes)
  if (!root.ok) return err([root.error])
  const faults = new FaultList()
  const file = readFile(root.value, faults)
  // Told only for a file without faults: a user left out for one might be the administrator.
  if (faults.isEmpty && !rules.hasAdminToken && !hasUsableAdministrator(file, rules.nowMs)) {
    faults.add(
      root.value,
      'no usable administrator is left: a user who may "administer" with a token or certificate that has not expired',
    )
  }
  return faults.isEmpty ? ok(file) : err(faults.all())
}

/** Lets editors find the schema; they mean nothing to the broker. */
const SCHEMA_ATTRIBUTES = ['xmlns:xsi', 'xsi:noNamespaceSchemaLocation']

function readFile(root: XmlElement, faults: FaultList): UsersFile {
  if (root.name !== 'broker-users') {
    faults.add(root, 'the root element is not "broker-users"')
    return { roles: [], users: [], anonymousRoles: [] }
  }
  const reader = new ElementReader(root, faults, {
    attributes: ['version', ...SCHEMA_ATTRIBUTES],
    children: ['role', 'user', 'anonymous'],
  })
  const version = reader.required('version')
  if (version !== undefined && version !== '1') reader.fault('"version" is not "1"')
  const names = { role: new UniqueNames('role', faults), user: new UniqueNames('user', faults) }
  const credentials = new UniqueCredentials(faults)
  const roles = reader.all('role').flatMap((element) => readRole(element, names.role, faults))
  const users = reader
    .all('user')
    .flatMap((element) => readUser(element, { names, credentials, faults }))
  return { roles, users, anonymousRoles: readAnonymous(reader, names.role, faults) }
}

function readRole(element: XmlElement, names: UniqueNames, faults: FaultList): RoleRule[] {
  const reader = new ElementReader(element, faults, {
    attributes: ['name'],
    children: ['allow', 'deny'],
  })
  const name = reader.name('name')
  if (name !== undefined) names.add(element, name)
  const grants = readGrants(element, faults)
  return name === undefined ? [] : [{ name, grants }]
}

interface UserContext {
  readonly names: { readonly role: UniqueNames; readonly user: UniqueNames }
  readonly credentials: UniqueCredentials
  readonly faults: FaultList
}

function readUser(element: XmlElement, context: UserContext): UserRule[] {
  const { names, credentials, faults } = context
  const reader = new ElementReader(element, faults, {
    attributes: ['name', 'roles'],
    children: [...CREDENTIAL_ELEMENTS, 'allow', 'deny'],
  })
  const name = reader.name('name')
  if (name !== undefined) names.user.add(element, name)
  const roles = readRoles(reader, names.role)
  const listed: ListedCredential[] = []
  for (const child of element.children) {
    if (!CREDENTIAL_ELEMENTS.includes(child.name)) continue
    const credential = readCredential(child, faults)
    if (credential === undefined) continue
    credentials.add(child, credential)
    listed.push(credential)
  }
  const grants = readGrants(element, faults)
  return name === undefined ? [] : [{ name, roles, credentials: listed, grants }]
}

function readAnonymous(
  root: ElementReader,
  roles: UniqueNames,
  faults: FaultList,
): readonly string[] {
  const [first, ...others] = root.all('anonymous')
  for (const other of others) faults.add(other, '"anonymous" is there more than once')
  if (first === undefined) return []
  const allowed = { attributes: ['roles'], children: [] }
  for (const other of others) new ElementReader(other, faults, allowed)
  return readRoles(new ElementReader(first, faults, allowed), roles)
}

function readRoles(reader: ElementReader, known: UniqueNames): readonly string[] {
  const roles = reader.words('roles', reader.optional('roles') ?? '')
  for (const role of roles) {
    if (!known.has(role)) reader.fault(`unknown role ${quotedName(role)}`)
  }
  return roles
}

function readGrants(element: XmlElement, faults: FaultList): readonly GrantRule[] {
  return element.children.flatMap((child) => {
    if (child.name !== 'allow' && child.name !== 'deny') return []
    return readGrant(child, faults) ?? []
  })
}

/** Reports a credential that is listed twice, for one user or for two. */
class UniqueCredentials {
  readonly #lines = new Map<string, number>()
  readonly #faults: FaultList
  readonly #ids: UniqueNames

  constructor(faults: FaultList) {
    this.#faults = faults
    this.#ids = new UniqueNames('token', faults)
  }

  add(element: XmlElement, { kind, id, value }: ListedCredential): void {
    if (kind === 'token') this.#ids.add(element, id)
    const key = `${kind} ${value}`
    const line = this.#lines.get(key)
    if (line === undefined) this.#lines.set(key, element.line)
    else this.#faults.add(element, `the same ${kind} is listed already in line ${line}`)
  }
}
