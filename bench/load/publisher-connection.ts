/** A connection that publishes. */
export interface PublisherConnection {
  /** Makes what is to be sent, so that sending is sending and nothing else. */
  pack(payloads: readonly string[]): readonly Buffer[]
  /** Resolves when the next may be sent. */
  send(packed: Buffer): Promise<void>
  /** Resolves when everything that was sent has been accepted. */
  finish(): Promise<void>
}
