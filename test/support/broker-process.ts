import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type TestUser, TOKENS, USERS_XML } from './gateway.ts'
import { freePort, type RunningNginx, startNginx } from './nginx.ts'
import { requireNoSecretInLogs } from './secrets-in-logs.ts'

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
export const BROKER = join(ROOT, 'bin/broker.js')

/** What Nginx shows to the broker. */
const PROXY_SECRET = 'a-secret-that-only-nginx-knows'

/** A broker in a process of its own, as users run it, over a directory of its own. */
export class BrokerProcess implements AsyncDisposable {
  readonly directory: string
  readonly port: number
  readonly zmqSubscribe: string
  readonly zmqSession: string
  readonly #extra: readonly string[]
  #child: ChildProcess | undefined
  #log = ''
  #logged = Promise.withResolvers<void>()

  private constructor(
    directory: string,
    ports: readonly [number, number, number],
    extra: readonly string[],
  ) {
    this.directory = directory
    this.port = ports[0]
    this.zmqSubscribe = `tcp://127.0.0.1:${ports[1]}`
    this.zmqSession = `tcp://127.0.0.1:${ports[2]}`
    this.#extra = extra
  }

  static async start(...extra: string[]): Promise<BrokerProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'broker-'))
    // As root Nginx reads what it serves as another user.
    await chmod(directory, 0o755)
    await mkdir(join(directory, 'config'))
    await writeFile(join(directory, 'config/broker_users.xml'), USERS_XML)
    const ports = [await freePort(), await freePort(), await freePort()] as const
    await using cleanup = new AsyncDisposableStack()
    const broker = cleanup.use(new BrokerProcess(directory, ports, extra))
    await broker.restart()
    cleanup.move()
    return broker
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get pid(): number {
    const { pid } = this.#child ?? {}
    if (pid === undefined) throw new Error('the broker is not running')
    return pid
  }

  /** What the process wrote to stderr. */
  get log(): string {
    return this.#log
  }

  /** Resolves when it writes the next line. */
  logged(): Promise<void> {
    return this.#logged.promise
  }

  /**
   * The worker processes in the order in which it said that it started them, once they are so many; the first
   * at least. It says so at the level `info`.
   */
  async workers(count: number): Promise<readonly [number, ...number[]]> {
    for (;;) {
      const lines = this.#log.matchAll(/"pid":(\d+),"msg":"worker is running"/g)
      const [first, ...others] = [...lines].map(([, id]) => Number(id))
      // Never 0 for one that is not there: a signal to it goes to everybody, the tests included.
      if (first !== undefined && others.length >= count - 1) return [first, ...others]
      await this.logged()
    }
  }

  get settings(): string[] {
    return [
      `--listen=127.0.0.1:${this.port}`,
      `--zmq-subscribe=${this.zmqSubscribe}`,
      `--zmq-session=${this.zmqSession}`,
      ...(this.#extra.some((flag) => flag.startsWith('--settle=')) ? [] : ['--settle=100ms']),
      ...this.#extra,
    ]
  }

  /** Starts the process, again after it was killed or stopped. */
  async restart(): Promise<void> {
    const child = spawn(process.execPath, [BROKER, 'serve', ...this.settings], {
      cwd: this.directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    child.once('exit', (code) => reject(new Error(`the broker ended with ${code}: ${this.#log}`)))
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.#log += `${line}\n`
      this.#logged.resolve()
      this.#logged = Promise.withResolvers<void>()
      if (line.startsWith('Data Broker on')) resolve()
    })
    await promise
  }

  /** Ends the process and resolves with its exit code; null when a signal ended it. */
  async kill(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null
    child.kill(signal)
    const [code] = await once(child, 'exit')
    return code
  }

  async adminToken(): Promise<string> {
    return (await readFile(join(this.directory, 'data/admin.token'), 'utf8')).trim()
  }

  async tokenOf(user: TestUser | 'admin'): Promise<string> {
    return user === 'admin' ? this.adminToken() : TOKENS[user]
  }

  /** Whatever a test did, no secret is in the logs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGKILL')
    try {
      await requireNoSecretInLogs(this.#log, { directory: this.directory, more: [PROXY_SECRET] })
    } finally {
      await rm(this.directory, { recursive: true, force: true })
    }
  }
}

/** The broker behind the real Nginx, whose configuration `broker nginx` wrote. */
export class BrokerBehindNginx implements AsyncDisposable {
  readonly broker: BrokerProcess
  readonly url: string
  readonly wsUrl: string
  readonly zmqSubscribe: string
  readonly zmqSession: string
  readonly #nginx: RunningNginx
  readonly #secretDirectory: string

  private constructor(
    broker: BrokerProcess,
    ports: readonly number[],
    nginx: RunningNginx,
    secretDirectory: string,
  ) {
    const [http, subscribe, session] = ports
    this.broker = broker
    this.url = `http://127.0.0.1:${http}`
    this.wsUrl = `ws://127.0.0.1:${http}`
    this.zmqSubscribe = `tcp://127.0.0.1:${subscribe}`
    this.zmqSession = `tcp://127.0.0.1:${session}`
    this.#nginx = nginx
    this.#secretDirectory = secretDirectory
  }

  static async start(...extra: string[]): Promise<BrokerBehindNginx> {
    return await BrokerBehindNginx.startWith(extra, [])
  }

  /** @param front - more flags of `broker nginx` */
  static async startWith(
    extra: readonly string[],
    front: readonly string[],
  ): Promise<BrokerBehindNginx> {
    await using cleanup = new AsyncDisposableStack()
    const directory = await mkdtemp(join(tmpdir(), 'broker-secret-'))
    const secret = join(directory, 'secret')
    await writeFile(secret, PROXY_SECRET)
    const proxy = ['--proxy=nginx', `--proxy-secret-file=${secret}`]
    // Left running when Nginx does not start, it would keep the process of the tests for ever.
    const broker = cleanup.use(await BrokerProcess.start(...proxy, ...extra))
    const ports = [await freePort(), await freePort(), await freePort()]
    const prefix = join(broker.directory, 'nginx')
    const [http, subscribe, session] = ports
    await run(
      process.execPath,
      [
        BROKER,
        'nginx',
        ...broker.settings.filter((setting) => !setting.startsWith('--zmq')),
        `--dir=${prefix}`,
        `--http=${http}`,
        `--zmq-subscribe=${subscribe}`,
        `--zmq-session=${session}`,
        ...front,
      ],
      {
        cwd: broker.directory,
        env: {
          ...process.env,
          BROKER_ZMQ_SUBSCRIBE: broker.zmqSubscribe,
          BROKER_ZMQ_SESSION: broker.zmqSession,
        },
      },
    )
    const nginx = await startNginx(prefix)
    cleanup.move()
    return new BrokerBehindNginx(broker, ports, nginx, directory)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nginx.close()
    await this.broker[Symbol.asyncDispose]()
    await rm(this.#secretDirectory, { recursive: true, force: true })
  }
}

export interface RunResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. @throws {Error} when it fails, unless `mayFail` */
export async function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; input?: string; mayFail?: boolean } = {},
): Promise<RunResult> {
  const { input, mayFail = false, ...rest } = options
  const child = spawn(command, args, { ...rest, stdio: ['pipe', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => {}).end(input)
  const [code] = await once(child, 'close')
  if (code !== 0 && !mayFail) throw new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`)
  return { code, stdout, stderr }
}
