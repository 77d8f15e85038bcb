import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import { createGateway, type Gateway } from '../../src/gateway/create-gateway.ts'
import { parseSettings } from '../../src/gateway/settings/settings.ts'
import type { SettingKey } from '../../src/gateway/settings/settings-schema.ts'
import { ROLES_XML } from './roles-xml.ts'

/** Users of the tests and their tokens, beside the administrator. */
export const TOKENS = {
  jenkins: 'dbk_jenkins-for-tests-000000000000000000000',
  dashboard: 'dbk_dashboard-for-tests-0000000000000000000',
  reader: 'dbk_reader-for-tests-0000000000000000000000',
} as const

export type TestUser = keyof typeof TOKENS

export const USERS_XML = `<?xml version="1.0" encoding="UTF-8"?>
<broker-users version="1">
${ROLES_XML}
  <role name="dashboard">
    <allow actions="subscribe" topics="ci/**"/>
    <allow actions="subscribe" topics="files/builds/**"/>
    <allow actions="list read" files="builds/**"/>
  </role>
  <role name="public"/>
  <user name="admin" roles="administrator"/>
  <user name="jenkins" roles="ci"><token id="jenkins-1" sha256="${sha256(TOKENS.jenkins)}"/></user>
  <user name="dashboard" roles="dashboard"><token id="dashboard-1" sha256="${sha256(TOKENS.dashboard)}"/></user>
  <user name="reader" roles="reader"><token id="reader-1" sha256="${sha256(TOKENS.reader)}"/></user>
  <anonymous roles="public"/>
</broker-users>
`

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A broker in this process, on a free port, with a directory of its own. */
export interface TestGateway extends AsyncDisposable {
  readonly gateway: Gateway
  readonly url: string
  /** The same address as a WebSocket URL. */
  readonly wsUrl: string
  readonly directory: string
  readonly adminToken: string
  /** Sends a request as a user. */
  request(path: string, options?: RequestInit & { as?: TestUser | 'admin' }): Promise<Response>
  /** Stops the broker and starts it again over the same directory. */
  restart(): Promise<TestGateway>
}

type Flags = Partial<Record<SettingKey, string>>

export async function startGateway(
  flags: Flags = {},
  usersXml = USERS_XML,
  log: Logger = pino({ level: 'silent' }),
): Promise<TestGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  await mkdir(join(directory, 'config'))
  await writeFile(join(directory, 'config/broker_users.xml'), usersXml)
  try {
    return await open(directory, flags, log)
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

async function open(directory: string, flags: Flags, log: Logger): Promise<TestGateway> {
  const settings = parseSettings({
    flags: new Map(
      Object.entries({
        listen: '127.0.0.1:0',
        zmqSubscribe: 'off',
        zmqSession: 'off',
        ...flags,
      }) as [SettingKey, string][],
    ),
    env: {},
    cwd: directory,
  })
  if (!settings.ok) throw settings.error
  const gateway = await createGateway(settings.value, { log })
  const { url } = gateway
  const adminToken = (await readFile(join(directory, 'data/admin.token'), 'utf8')).trim()
  return {
    gateway,
    url,
    wsUrl: url.replace('http', 'ws'),
    directory,
    adminToken,
    request: (path, { as, ...init } = {}) => {
      const headers = new Headers(init.headers)
      const token = as === 'admin' ? adminToken : as && TOKENS[as]
      if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
      return fetch(url + path, { ...init, headers })
    },
    restart: async () => {
      await gateway.close()
      return open(directory, flags, log)
    },
    [Symbol.asyncDispose]: async () => {
      await gateway.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
