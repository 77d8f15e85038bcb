import type { UsersAnswer } from './users-answer.ts'

type AnsweredCredential = UsersAnswer['users'][number]['credentials'][number]

/** As the broker tells it; without its last use when it is of a file. */
export type ShownCredential = Omit<AnsweredCredential, 'lastUsed'> & {
  readonly lastUsed?: string | null
}

/** `token jenkins-1 until 2027-11-20T00:00:00.000Z (not used)` */
export function describeCredential(credential: ShownCredential): string {
  const { kind, expires, lastUsed } = credential
  const name = nameOf(credential)
  const until = expires === null ? '' : ` until ${expires}`
  if (lastUsed === undefined) return `${kind} ${name}${until}`
  return `${kind} ${name}${until} (${lastUsed === null ? 'not used' : `used ${lastUsed}`})`
}

function nameOf({ kind, id, workload }: ShownCredential): string {
  if (workload === undefined) return kind === 'token' ? id : `${id.slice(0, 12)}…`
  const claims = workload.claims.map(({ name, value }) => `${name}=${value}`)
  return `${workload.issuer} ${claims.join(' ')}`
}
