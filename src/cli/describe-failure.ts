import { BrokerError } from '../protocol/problem.ts'
import { Interruption } from './interruption.ts'
import { UsageError } from './usage-error.ts'

const TOKEN_HINT = 'Set BROKER_TOKEN, or BROKER_TOKEN_FILE to a file that holds the token.\n'

/**
 * What is told of a failure on stderr: one line, and one for each fault that a validator found.
 *
 * @param command - whose help says more; without it that of all
 */
export function describeFailure(error: unknown, command?: string): string {
  if (error instanceof Interruption) return ''
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return 'broker: gave up, the time of --timeout is over\n'
  }
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof UsageError)
    return `${message.replaceAll(/^/gm, 'broker: ')}\nTry: broker${command ? ` ${command}` : ''} --help\n`
  if (!(error instanceof BrokerError)) return `broker: ${message}\n`
  const hint = error.code === 'UNAUTHENTICATED' ? TOKEN_HINT : ''
  return `broker: ${message} (${error.code})\n${faultsOf(error)}${hint}`
}

function faultsOf({ fields }: BrokerError): string {
  const { errors } = fields
  if (!Array.isArray(errors)) return ''
  return errors.map((fault: unknown) => `  ${describeFault(fault)}\n`).join('')
}

/** @param fault - `{message, line?, column?}`, from 1 */
export function describeFault(fault: unknown): string {
  if (typeof fault !== 'object' || fault === null) return String(fault)
  const { message, line, column } = fault as Readonly<Record<string, unknown>>
  if (typeof line !== 'number') return String(message)
  const place = typeof column === 'number' ? `${line}:${column}` : `${line}`
  return `${place}: ${String(message)}`
}
