import type { ListenAddress } from '../settings/settings-addresses.ts'
import { type Verdict, warning } from './finding.ts'

/**
 * Started by root, Nginx works as an account of its own, and the socket of the broker is for the account and
 * the group of the broker alone.
 *
 * @param user - what `user` of the configuration says; undefined for what Nginx was built with
 */
export function judgeAccount(listen: ListenAddress, user: string | undefined): readonly Verdict[] {
  if (listen.kind === 'tcp' || user !== undefined) return []
  return [
    warning(
      `the account of Nginx may not open ${listen.path} when root starts it`,
      "broker nginx --user 'ACCOUNT GROUP' with the group of the broker",
    ),
  ]
}
