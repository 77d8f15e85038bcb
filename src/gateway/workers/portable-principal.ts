import type { Principal, Rights } from '../../auth/principal.ts'
import { CompiledRights } from '../../auth/rights/compiled-rights.ts'
import type { PortablePrincipal } from './worker-messages.ts'

export function toPortable({ user, rights, credential }: Principal): PortablePrincipal {
  if (!(rights instanceof CompiledRights)) throw new Error('only compiled rights can be sent')
  return { user, grants: rights.grants, credential }
}

/** Different grants that are remembered before the memory is dropped and filled anew. */
const MAX_REMEMBERED = 10_000

/** Makes principals of what was sent: the same rights for the same grants, so that they can be grouped by. */
export class PrincipalReader {
  readonly #rights = new Map<string, Rights>()

  read({ user, grants, credential }: PortablePrincipal): Principal {
    const key = JSON.stringify(grants)
    let rights = this.#rights.get(key)
    if (rights === undefined) {
      if (this.#rights.size >= MAX_REMEMBERED) this.#rights.clear()
      rights = new CompiledRights(grants)
      this.#rights.set(key, rights)
    }
    return { user, rights, credential }
  }
}
