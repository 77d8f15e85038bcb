import { spawnSync } from 'node:child_process'
import { BROKER_COMMAND, type RunningBroker, startBroker } from './broker.ts'
import { NGINX_USER, startNginx } from './nginx.ts'
import { freePort } from './ports.ts'
import { type ServerProcess, serverDirectory } from './server-process.ts'

export interface BrokerBehindNginx {
  readonly broker: RunningBroker
  readonly nginx: ServerProcess
  /** Of Nginx. */
  readonly port: number
}

/** The broker on a unix socket, and the Nginx that `broker nginx` writes for it. */
export async function startBrokerBehindNginx(): Promise<BrokerBehindNginx> {
  const broker = await startBroker({ flags: ['--proxy', 'nginx'], isUnixSocket: true })
  const port = await freePort()
  const directory = await serverDirectory()
  const account = NGINX_USER === undefined ? [] : ['--user', NGINX_USER]
  const http = ['--http', `127.0.0.1:${port}`, '--zmq-subscribe', 'off', '--zmq-session', 'off']
  const flags = ['nginx', '--dir', directory, ...http, ...account]
  const { status, stderr } = spawnSync(process.execPath, [
    BROKER_COMMAND,
    ...flags,
    ...broker.flags,
  ])
  if (status !== 0) throw new Error(`broker nginx failed: ${stderr}`)
  return { broker, nginx: await startNginx(directory, port), port }
}
