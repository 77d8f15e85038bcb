import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerProcess, serverDirectory } from './server-process.ts'

const COMMAND = 'nats-server'

export interface RunningNats {
  readonly process: ServerProcess
  readonly host: string
  readonly clientPort: number
  readonly websocketPort: number
}

/** Debian's nats-server with default settings and a WebSocket listener without TLS. */
export async function startNats(): Promise<RunningNats> {
  const directory = await serverDirectory()
  const config = join(directory, 'nats.conf')
  await writeFile(
    config,
    'host: 127.0.0.1\nport: -1\nwebsocket { host: "127.0.0.1", port: -1, no_tls: true }\n',
  )
  const process = await ServerProcess.start(directory, COMMAND, [
    ...['-c', config, '--ports_file_dir', directory],
  ])
  const ports = await process.ready(async () => {
    const file = (await readdir(directory)).find((name) => name.endsWith('.ports'))
    if (file === undefined) return undefined
    return JSON.parse(await readFile(join(directory, file), 'utf8')) as {
      readonly nats: readonly string[]
      readonly websocket: readonly string[]
    }
  })
  return {
    process,
    host: '127.0.0.1',
    clientPort: portOf(ports.nats[0]),
    websocketPort: portOf(ports.websocket[0]),
  }
}

function portOf(url: string | undefined): number {
  return Number(/:(\d+)$/.exec(url ?? '')?.[1])
}
