import { tokenHash } from '../../src/auth/credentials/tokens.ts'
import { UsersTable } from '../../src/auth/rights/users-table.ts'
import { parseUsersFile } from '../../src/auth/users-file/parse-users-file.ts'
import type { UsersFault } from '../../src/auth/users-file/users-fault.ts'
import type { UsersFile } from '../../src/auth/users-file/users-file.ts'
import { ROLES_XML } from '../support/roles-xml.ts'

/** A moment after which some credentials of the fixture have expired: 2026-11-20T10:00:00Z. */
export const NOW_MS = Date.UTC(2026, 10, 20, 10)

export const SECRETS = {
  admin: 'dbk_adminadminadminadminadminadmin000000',
  jenkins: 'dbk_jenkinsjenkinsjenkinsjenkins00000000',
  expired: 'dbk_expiredexpiredexpiredexpired00000000',
} as const

export const CERTIFICATE = 'ab'.repeat(32)
export const CURVE_KEY = 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID'

export const USERS_XML = `<?xml version="1.0" encoding="UTF-8"?>
<broker-users version="1">
${ROLES_XML}
  <role name="public">
    <allow actions="subscribe" topics="public/**"/>
    <allow actions="subscribe" topics="home/\${user}/**"/>
  </role>
  <user name="admin" roles="administrator">
    <token id="admin-1" sha256="${tokenHash(SECRETS.admin)}"/>
  </user>
  <user name="jenkins" roles="ci">
    <!-- the controller -->
    <token id="jenkins-1" sha256="${tokenHash(SECRETS.jenkins)}" expires="2027-11-20T00:00:00Z" note="controller"/>
    <token id="jenkins-0" sha256="${tokenHash(SECRETS.expired)}" expires="2026-01-01T00:00:00+01:00"/>
    <certificate sha256="${CERTIFICATE}"/>
    <curve-key public="${CURVE_KEY.replaceAll('<', '&lt;')}"/>
    <deny actions="create" files="builds/jenkins/release/**"/>
  </user>
  <user name="ann" roles="reader"/>
  <user name="bob" roles="reader"/>
  <anonymous roles="public"/>
</broker-users>
`

export function parseText(text: string, hasAdminToken = true): ReturnType<typeof parseUsersFile> {
  return parseUsersFile(Buffer.from(text), { nowMs: NOW_MS, hasAdminToken })
}

export function fileOf(text: string): UsersFile {
  const file = parseText(text)
  if (!file.ok) throw new Error(file.error.map(({ message }) => message).join('; '))
  return file.value
}

export function tableOf(text: string): UsersTable {
  return new UsersTable(fileOf(text))
}

export function faultsOf(text: string, hasAdminToken = true): readonly UsersFault[] {
  const file = parseText(text, hasAdminToken)
  return file.ok ? [] : file.error
}

/** `inner` as the content of an otherwise right users file; its first line is line 2. */
export function usersXml(inner: string): string {
  return `<broker-users version="1">\n${inner}\n</broker-users>\n`
}
