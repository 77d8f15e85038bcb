/** A signal ended the command. */
export class Interruption extends Error {
  override readonly name = 'Interruption'
  /** As a shell reports it: 128 and the number of the signal. */
  readonly exitCode: number

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(signal)
    this.exitCode = signal === 'SIGINT' ? 130 : 143
  }
}

/** Whoever read our output has had enough: the end of a pipe such as `| head`, and no failure. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed'
}
