import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { accepts, freePort } from './ports.ts'
import { ServerProcess, serverDirectory } from './server-process.ts'

const COMMAND = 'mosquitto'

export interface RunningMosquitto {
  readonly process: ServerProcess
  readonly host: string
  readonly clientPort: number
  readonly websocketPort: number
}

/** Debian's Mosquitto with a WebSocket listener, and no bound on what waits: it would drop messages. */
export async function startMosquitto(): Promise<RunningMosquitto> {
  const directory = await serverDirectory()
  const [clientPort, websocketPort] = [await freePort(), await freePort()]
  const config = join(directory, 'mosquitto.conf')
  await writeFile(
    config,
    `listener ${clientPort} 127.0.0.1
listener ${websocketPort} 127.0.0.1
protocol websockets
allow_anonymous true
max_queued_messages 0
`,
  )
  const process = await ServerProcess.start(directory, COMMAND, ['-c', config])
  await process.ready(() => accepts(clientPort))
  await process.ready(() => accepts(websocketPort))
  return { process, host: '127.0.0.1', clientPort, websocketPort }
}
