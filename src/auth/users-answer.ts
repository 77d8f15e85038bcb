import Type, { type Static } from 'typebox'
import type { LastUses } from './credentials/last-uses.ts'
import type { UsersFile } from './users-file/users-file.ts'

const Time = Type.Union([Type.String({ format: 'date-time' }), Type.Null()])

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
        kind: one.kind,
        id: one.id,
        expires: timeText(one.expiresMs),
        ...(one.note !== undefined && { note: one.note }),
        lastUsed: timeText(lastUses.of(one)),
      })),
    })),
  }
}

function timeText(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}
