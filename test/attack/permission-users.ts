import { ACTIONS, type Action } from '../../src/auth/principal.ts'
import { sha256, USERS_XML } from '../support/gateway.ts'
import type { Asker, Row } from './permissions-page.ts'

/** A user of the tests; the token of each is made of the name. */
export interface AskingUser {
  readonly name: string
  readonly token: string
}

/**
 * Who asks for a row. The one who is right has no grant but one that the row names, and only on `ci` and
 * `builds`; the others have every grant but those, on everything: a check of another action shows.
 *
 * @returns undefined for anonymous; more than one where the row names several actions
 */
export function usersFor({ actions }: Row, asker: Asker): readonly (AskingUser | undefined)[] {
  if (asker === 'anonymous') return [undefined]
  if (asker === 'no grant') return [userOf('without')]
  if (asker === 'the others') return [userOf(['all-but', ...actions].join('-'))]
  if (asker !== 'right') return [userOf(asker)]
  return actions.length === 0
    ? [userOf('without')]
    : actions.map((action) => userOf(`only-${action}`))
}

/** The users file with all who ask for one of `rows`, and with those who are to lose their credentials. */
export function usersXml(
  rows: readonly Row[],
  issuer: string,
  { withRevoked = false } = {},
): string {
  const but = new Map(rows.map(({ actions }) => [['all-but', ...actions].join('-'), actions]))
  const users = [
    element('without', []),
    ...ACTIONS.map((action) => element(`only-${action}`, [action], 'ci/**', 'builds/**', 'form')),
    ...Array.from(but, ([name, actions]) =>
      element(
        name,
        ACTIONS.filter((action) => !actions.includes(action)),
      ),
    ),
    element('expired', ACTIONS, '**', '**', '**', ' expires="2020-01-01T00:00:00Z"'),
    job('job', issuer, 'acme/app'),
    ...(withRevoked ? [element('revoked', ACTIONS), job('former-job', issuer, 'acme/gone')] : []),
  ]
  return USERS_XML.replace('<anonymous', `${users.join('\n  ')}\n  <anonymous`)
}

function userOf(name: string): AskingUser {
  return { name, token: `dbk_${name}-for-tests`.padEnd(43, '0') }
}

function element(
  name: string,
  actions: readonly Action[],
  topics = '**',
  files = '**',
  file = '**',
  ofToken = '',
): string {
  const grants = actions.map((action) => {
    if (action === 'publish' || action === 'subscribe') return allow(action, ` topics="${topics}"`)
    if (action === 'administer' || action === 'observe') return allow(action, '')
    return allow(action, ` files="${files}"`) + allow(action, ` files="${file}"`)
  })
  const hash = sha256(userOf(name).token)
  return `<user name="${name}" roles="public">${grants.join('')}<token id="${name}" sha256="${hash}"${ofToken}/></user>`
}

function allow(action: Action, on: string): string {
  return `<allow actions="${action}"${on}/>`
}

function job(name: string, issuer: string, repository: string): string {
  return `<user name="${name}" roles="public"><oidc issuer="${issuer}" audience="broker"><claim name="repository" value="${repository}"/></oidc></user>`
}
