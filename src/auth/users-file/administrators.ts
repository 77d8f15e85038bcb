import type { ListedCredential, UserRule, UsersFile } from './users-file.ts'

/**
 * True when some user may `administer` and has a credential to do it with. CURVE keys do not count: they
 * open ZeroMQ endpoints, where nothing is administered. Workloads do not either: no person can be one.
 */
export function hasUsableAdministrator(file: UsersFile, nowMs: number): boolean {
  const grantsOf = new Map(file.roles.map((role) => [role.name, role.grants]))
  const mayAdminister = (user: UserRule): boolean => {
    const rules = [...user.roles.flatMap((role) => grantsOf.get(role) ?? []), ...user.grants]
    const about = rules.filter((rule) => rule.actions.includes('administer'))
    return about.length > 0 && about.every((rule) => rule.effect === 'allow')
  }
  return file.users.some(
    (user) => user.credentials.some((one) => isUsable(one, nowMs)) && mayAdminister(user),
  )
}

function isUsable(credential: ListedCredential, nowMs: number): boolean {
  const isUsed = credential.kind === 'token' || credential.kind === 'certificate'
  return isUsed && (credential.expiresMs ?? Infinity) > nowMs
}
