import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { context, Dealer, Request, Subscriber } from 'zeromq'

// A failed test must not keep its process waiting for messages to leave.
context.blocky = false

type Part = string | Buffer

export interface Answer {
  readonly verb: string
  readonly parts: readonly string[]
  /** The last frame as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  readonly body: any
}

export function answerOf(frames: readonly Buffer[]): Answer {
  const parts = frames.map(String)
  return { verb: parts[0] ?? '', parts, body: JSON.parse(parts.at(-1) ?? 'null') }
}

/** A DEALER or REQ that speaks the session protocol. */
export class Peer implements Disposable {
  readonly socket: Dealer | Request

  constructor(socket: Dealer | Request, endpoint: string) {
    this.socket = socket
    socket.connect(endpoint)
  }

  send(...frames: Part[]): Promise<void> {
    return this.socket.send(frames)
  }

  async receive(): Promise<Answer> {
    return answerOf(await this.socket.receive())
  }

  async ask(...frames: Part[]): Promise<Answer> {
    await this.send(...frames)
    return this.receive()
  }

  [Symbol.dispose](): void {
    this.socket.close()
  }
}

export function dealer(endpoint: string, options: { routingId?: string } = {}): Peer {
  return new Peer(new Dealer({ linger: 0, ...options }), endpoint)
}

export function request(endpoint: string): Peer {
  return new Peer(new Request({ linger: 0 }), endpoint)
}

/** A SUB socket that subscribes to everything. */
export class Sub implements Disposable {
  readonly socket: Subscriber

  constructor(endpoint: string, credentials: { user: string; token: string } | null) {
    const plain =
      credentials === null
        ? {}
        : { plainUsername: credentials.user, plainPassword: credentials.token }
    this.socket = new Subscriber({ linger: 0, reconnectInterval: 10, ...plain })
    this.socket.subscribe('')
    this.socket.connect(endpoint)
  }

  /** The topic and event of the next message. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  async next(): Promise<{ topic: string; event: any }> {
    const frames = await this.socket.receive()
    assert.equal(frames.length, 2)
    return { topic: String(frames[0]), event: JSON.parse(String(frames[1])) }
  }

  [Symbol.dispose](): void {
    this.socket.close()
  }
}

const PYTHON = '/usr/bin/python3'

/** Why tests with a Python client cannot run, or false. */
export function pythonIsMissing(): string | false {
  const { status } = spawnSync(PYTHON, ['-c', 'import zmq'])
  return status === 0 ? false : 'python3 with zmq is not installed'
}

/** Runs a script; `line()` is what it prints next. */
export class Python implements Disposable {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(script: string, ...args: string[]) {
    this.#child = spawn(PYTHON, ['-u', '-c', script, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const { stdout } = this.#child
    assert.ok(stdout)
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]()
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    assert.ok(done !== true, 'the script has ended')
    return value
  }

  /** Lets the script go on that waits for a line of input. */
  goOn(): void {
    this.#child.stdin?.write('\n')
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL')
  }
}
