import { type BrokerClientOptions, connectionOf } from './connection.ts'
import { EventsClient } from './events/events-client.ts'
import { FilesClient } from './files/files-client.ts'

/**
 * A broker as seen by a program in Node or in a browser.
 *
 * ```ts
 * await using client = new BrokerClient({ url: 'https://broker.example', token })
 * await client.events.publish('ci/app/build', { build: 42 }, { type: 'build.finished' })
 * for await (const event of client.events.subscribe('ci/**')) console.log(event.topic, event.data)
 * ```
 *
 * Refusals are `BrokerError`s with the code of the problem, failures to reach it `NetworkError`s.
 */
export class BrokerClient implements AsyncDisposable {
  readonly events: EventsClient
  readonly files: FilesClient
  readonly #closing = new AbortController()

  /** @throws {BrokerError} `REQUEST_INVALID` for a URL that no broker could have */
  constructor(options: BrokerClientOptions) {
    const connection = connectionOf(options, this.#closing.signal)
    this.events = new EventsClient(connection)
    this.files = new FilesClient(connection)
  }

  /** Aborts every call and subscription that is still under way. */
  async close(): Promise<void> {
    this.#closing.abort()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
