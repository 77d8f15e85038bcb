import Type, { type Static } from 'typebox'
import type { LastUses } from './credentials/last-uses.ts'
import type { ListedCredential, UsersFile } from './users-file/users-file.ts'

const Time = Type.Union([Type.String({ format: 'date-time' }), Type.Null()])

const Workload = Type.Object(
  {
    issuer: Type.String(),
    audience: Type.String(),
    claims: Type.Array(Type.Object({ name: Type.String(), value: Type.String() })),
  },
  { description: 'Of kind oidc: which jobs are meant.' },
)

/** The answer of `GET /auth/users`. */
export const UsersAnswer = Type.Object({
  users: Type.Array(
    Type.Object({
      name: Type.String(),
      roles: Type.Array(Type.String()),
      credentials: Type.Array(
        Type.Object({
          kind: Type.Enum(['token', 'certificate', 'curve-key', 'oidc']),
          id: Type.String({ description: 'Of a token its id, else what it is recognised by.' }),
          expires: Time,
          note: Type.Optional(Type.String()),
          workload: Type.Optional(Workload),
          lastUsed: Type.Union(Time.anyOf, {
            description: 'When it was last good for a login; null when that is not known.',
          }),
        }),
      ),
    }),
    { description: 'As they are in force, in the order of the users file.' },
  ),
})

export type UsersAnswer = Static<typeof UsersAnswer>

export function usersAnswer({ users }: UsersFile, lastUses: Pick<LastUses, 'of'>): UsersAnswer {
  return {
    users: users.map(({ name, roles, credentials }) => ({
      name,
      roles: [...roles],
      credentials: credentials.map((one) => ({
        ...credentialAnswer(one),
        lastUsed: timeText(lastUses.of(one)),
      })),
    })),
  }
}

/** A credential as people are shown it: without the hash of a token, which nobody needs to see. */
export function credentialAnswer({ kind, id, expiresMs, note, workload }: ListedCredential) {
  return {
    ...{ kind, id, expires: timeText(expiresMs) },
    ...(note !== undefined && { note }),
    ...(workload !== undefined && { workload: { ...workload, claims: [...workload.claims] } }),
  }
}

function timeText(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}
