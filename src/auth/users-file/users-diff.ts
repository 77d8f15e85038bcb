import type { Action } from '../principal.ts'
import type { GrantKind, GrantRule, ListedCredential, UsersFile } from './users-file.ts'

/** What one of two things has and the other has not. */
export interface Difference<Item> {
  readonly gained: readonly Item[]
  readonly lost: readonly Item[]
}

/** A grant as far as it is gained or lost: only the actions that are. */
export interface GrantChange {
  readonly effect: 'allow' | 'deny'
  readonly actions: readonly Action[]
  readonly kind: GrantKind
  readonly pattern: string
}

export type Change = 'added' | 'removed' | 'changed'

export interface RoleChange {
  readonly name: string
  readonly change: Change
  readonly grants: Difference<GrantChange>
  /** How many users have the role afterwards; before, if it is removed. Anonymous is none. */
  readonly users: number
}

export interface UserChange {
  readonly name: string
  readonly change: Change
  readonly roles: Difference<string>
  readonly grants: Difference<GrantChange>
  /** One whose end is another is lost and gained. */
  readonly credentials: Difference<ListedCredential>
}

/** What a users file changes: empty lists when all may do the same with the same credentials. */
export interface UsersDiff {
  readonly roles: readonly RoleChange[]
  readonly users: readonly UserChange[]
  readonly anonymousRoles: Difference<string>
}

/** Compares meaning and not text: order, layout, notes and how grants are grouped make no difference. */
export function diffUsers(before: UsersFile, after: UsersFile): UsersDiff {
  return {
    roles: pairs(before.roles, after.roles).flatMap(({ name, old, new: now }) => {
      const grants = difference(grantsOf(old), grantsOf(now))
      const change = changeOf(old, now, [grants])
      const users = countUsers(now === undefined ? before : after, name)
      return change === undefined ? [] : [{ name, change, grants: grouped(grants), users }]
    }),
    users: pairs(before.users, after.users).flatMap(({ name, old, new: now }) => {
      const roles = difference(keyed(old?.roles, String), keyed(now?.roles, String))
      const grants = difference(grantsOf(old), grantsOf(now))
      const credentials = difference(
        keyed(old?.credentials, credentialKey),
        keyed(now?.credentials, credentialKey),
      )
      const change = changeOf(old, now, [roles, grants, credentials])
      if (change === undefined) return []
      return [{ name, change, roles, grants: grouped(grants), credentials }]
    }),
    anonymousRoles: difference(
      keyed(before.anonymousRoles, String),
      keyed(after.anonymousRoles, String),
    ),
  }
}

export function isSameUsers({ roles, users, anonymousRoles }: UsersDiff): boolean {
  return roles.length === 0 && users.length === 0 && isEmpty(anonymousRoles)
}

interface Pair<Item> {
  readonly name: string
  readonly old: Item | undefined
  readonly new: Item | undefined
}

/** In the order of the new one, then those that are gone. */
function pairs<Item extends { readonly name: string }>(
  before: readonly Item[],
  after: readonly Item[],
): readonly Pair<Item>[] {
  const old = keyed(before, ({ name }) => name)
  const now = keyed(after, ({ name }) => name)
  const names = new Set([...now.keys(), ...old.keys()])
  return [...names].map((name) => ({ name, old: old.get(name), new: now.get(name) }))
}

function changeOf(
  old: unknown,
  now: unknown,
  differences: readonly Difference<unknown>[],
): Change | undefined {
  if (old === undefined) return 'added'
  if (now === undefined) return 'removed'
  return differences.every(isEmpty) ? undefined : 'changed'
}

function isEmpty({ gained, lost }: Difference<unknown>): boolean {
  return gained.length === 0 && lost.length === 0
}

function difference<Item>(
  before: ReadonlyMap<string, Item>,
  after: ReadonlyMap<string, Item>,
): Difference<Item> {
  const missingIn = (from: ReadonlyMap<string, Item>, other: ReadonlyMap<string, Item>) =>
    [...from].filter(([key]) => !other.has(key)).map(([, item]) => item)
  return { gained: missingIn(after, before), lost: missingIn(before, after) }
}

function keyed<Item>(
  items: readonly Item[] = [],
  keyOf: (item: Item) => string,
): ReadonlyMap<string, Item> {
  return new Map(items.map((item) => [keyOf(item), item]))
}

function credentialKey({ kind, id, value, expiresMs }: ListedCredential): string {
  return JSON.stringify([kind, id, value, expiresMs])
}

/** One for each action, so that the same grants written as more or fewer elements are the same. */
function grantsOf(
  owner: { readonly grants: readonly GrantRule[] } | undefined,
): ReadonlyMap<string, GrantChange> {
  const single = (owner?.grants ?? []).flatMap(({ effect, actions, kind, pattern }) =>
    actions.map((action) => ({ effect, actions: [action], kind, pattern })),
  )
  return keyed(single, (grant) => JSON.stringify(grant))
}

function grouped({ gained, lost }: Difference<GrantChange>): Difference<GrantChange> {
  return { gained: joined(gained), lost: joined(lost) }
}

function joined(single: readonly GrantChange[]): readonly GrantChange[] {
  const groups = Map.groupBy(single, ({ effect, kind, pattern }) =>
    JSON.stringify([effect, kind, pattern]),
  )
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    return first === undefined
      ? []
      : [{ ...first, actions: group.flatMap(({ actions }) => actions) }]
  })
}

function countUsers({ users }: UsersFile, role: string): number {
  return users.filter(({ roles }) => roles.includes(role)).length
}
