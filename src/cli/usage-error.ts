/** The command line is not one that the command understands. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
