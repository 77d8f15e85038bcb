import { CLOSE_CODES, RECONNECTABLE } from '../../protocol/close-codes.ts'
import type { ProblemCode } from '../../protocol/problem.ts'

const FINAL: ReadonlyMap<number, ProblemCode> = new Map([
  [1002, 'COMMAND_INVALID'],
  [1003, 'COMMAND_INVALID'],
  [1007, 'COMMAND_INVALID'],
  [1008, 'FORBIDDEN'],
  [CLOSE_CODES.messageTooBig, 'TOO_LARGE'],
  [1010, 'COMMAND_INVALID'],
  [CLOSE_CODES.protocolError, 'COMMAND_INVALID'],
  [CLOSE_CODES.unauthenticated, 'CREDENTIAL_INVALID'],
  [CLOSE_CODES.forbidden, 'FORBIDDEN'],
  [CLOSE_CODES.authenticationTimeout, 'REQUEST_TIMEOUT'],
])

/**
 * What the end of a WebSocket means for whoever would reconnect.
 *
 * @returns undefined when to reconnect and resume, which also holds for a connection that broke (1006);
 *   else the code of the problem, after which the same attempt would end the same way
 */
export function finalProblemOfClose(closeCode: number): ProblemCode | undefined {
  if (RECONNECTABLE.has(closeCode)) return undefined
  const known = FINAL.get(closeCode)
  if (known !== undefined) return known
  // 44xx is the client's fault by the protocol's numbering; a later broker may have more of them.
  return closeCode >= 4400 && closeCode < 4500 ? 'COMMAND_INVALID' : undefined
}
