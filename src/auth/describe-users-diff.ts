import { describeCredential } from './describe-credential.ts'
import { credentialAnswer } from './users-answer.ts'
import type { Difference, GrantChange, UsersDiff } from './users-file/users-diff.ts'
import type { ListedCredential } from './users-file/users-file.ts'

/** One line for each difference: `user jenkins: + token jenkins-2`. Without hashes of tokens. */
export function* describeUsersDiff({ roles, users, anonymousRoles }: UsersDiff): Generator<string> {
  for (const { name, change, grants, users: count } of roles) {
    const who = `role ${name} (${count} ${count === 1 ? 'user' : 'users'})`
    if (change !== 'changed') yield `${who}: ${change}`
    yield* describe(who, grants, describeGrant)
  }
  for (const { name, change, roles: ofUser, grants, credentials } of users) {
    const who = `user ${name}`
    if (change !== 'changed') yield `${who}: ${change}`
    yield* describe(who, ofUser, describeRole)
    yield* describe(who, grants, describeGrant)
    yield* describe<ListedCredential>(who, credentials, (one) =>
      describeCredential(credentialAnswer(one)),
    )
  }
  yield* describe('anonymous', anonymousRoles, describeRole)
}

function* describe<Item>(
  who: string,
  { gained, lost }: Difference<Item>,
  word: (item: Item) => string,
): Generator<string> {
  for (const item of lost) yield `${who}: - ${word(item)}`
  for (const item of gained) yield `${who}: + ${word(item)}`
}

function describeRole(role: string): string {
  return `role ${role}`
}

function describeGrant({ effect, actions, kind, pattern }: GrantChange): string {
  return `${effect} ${actions.join(' ')}${kind === 'broker' ? '' : ` ${kind}="${pattern}"`}`
}
