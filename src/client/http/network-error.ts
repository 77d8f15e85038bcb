/**
 * The broker could not be reached, or its answer broke off. What was asked may or may not have happened.
 * Everything that the broker itself refuses is a `BrokerError`.
 */
export class NetworkError extends Error {
  override readonly name = 'NetworkError'
}
