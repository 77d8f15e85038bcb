import Type, { type Static } from 'typebox'
import { ACTIONS, type Principal } from './principal.ts'
import { CompiledRights } from './rights/compiled-rights.ts'
import type { Grant } from './rights/grants.ts'

const GrantAnswer = Type.Object({
  effect: Type.Enum(['allow', 'deny']),
  actions: Type.Array(Type.Enum([...ACTIONS])),
  topics: Type.Optional(Type.String({ description: 'A topic filter; for publish and subscribe.' })),
  files: Type.Optional(Type.String({ description: 'The same over paths; for file actions.' })),
  source: Type.Object(
    { kind: Type.Enum(['role', 'user', 'built-in']), name: Type.String() },
    { description: 'Whose grant it is in the users file; built-in: the administrator token.' },
  ),
})

/** The answer of `GET /auth/me`. */
export const WhoAmI = Type.Object({
  user: Type.Union([Type.String(), Type.Null()], { description: 'null for anonymous.' }),
  credential: Type.Union([
    Type.Object({
      kind: Type.Enum(['token', 'certificate', 'curve-key', 'oidc', 'ticket']),
      id: Type.String(),
      expires: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
    }),
    Type.Null(),
  ]),
  roles: Type.Array(Type.String()),
  grants: Type.Array(GrantAnswer, {
    description: 'As they hold for this user. Default deny, deny wins, order does not matter.',
  }),
})

export type WhoAmI = Static<typeof WhoAmI>

export function whoAmI(principal: Principal, roles: readonly string[]): WhoAmI {
  const { user, rights, credential } = principal
  const grants = rights instanceof CompiledRights ? rights.grants : []
  return {
    user,
    credential: credential && {
      kind: credential.kind,
      id: credential.id,
      expires:
        credential.expiresMs === undefined ? null : new Date(credential.expiresMs).toISOString(),
    },
    roles: [...roles],
    grants: grants.map(grantAnswer),
  }
}

function grantAnswer({ effect, actions, kind, pattern, source }: Grant) {
  const resource = kind === 'broker' ? {} : { [kind]: pattern }
  return { effect, actions: [...actions], ...resource, source: { ...source } }
}
