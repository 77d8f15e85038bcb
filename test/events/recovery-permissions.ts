import { NO_RIGHTS, type Principal, type Rights } from '../../src/auth/principal.ts'
import { mayReceive } from '../../src/events/delivery/may-receive.ts'
import { patternMatches, patternsOverlap } from '../../src/protocol/segment-pattern.ts'
import type { Committed } from './recovery-ledger.ts'

/** Rights to receive below some topics and to list below some paths. */
function rightsTo(topics: readonly string[], paths: readonly string[] = []): Rights {
  const patterns = (action: string) => (action === 'subscribe' ? topics : paths)
  return {
    ...NO_RIGHTS,
    may: (action: string, resource: unknown = '') =>
      patterns(action).some((pattern) => patternMatches(pattern, String(resource))),
    overlaps: (action, filter) =>
      patterns(action).some((pattern) => patternsOverlap(pattern, filter)),
  }
}

/** The rights that users of the model have; each one object, as in a users table. */
export const RIGHTS: readonly Rights[] = [
  rightsTo(['**'], ['**']),
  rightsTo(['a/**'], ['**']),
  rightsTo(['**'], ['v/**']),
  rightsTo(['a/*', 'files/**', 'b/**'], ['g', 'v/*']),
]

/** The rights of one user over time. */
export class Permissions {
  readonly #history: { readonly rights: Rights; readonly from: number }[] = []

  constructor(rights: Rights) {
    this.#history.push({ rights, from: 0 })
  }

  get principal(): Principal {
    const rights = this.#history.at(-1)?.rights ?? NO_RIGHTS
    return { user: 'tester', rights, credential: { kind: 'token', id: 'tester-1' } }
  }

  /** @param count - how many events were committed before */
  change(rights: Rights, count: number): void {
    this.#history.push({ rights, from: count })
  }

  /** True when the user could have received `event` at some time since it was committed. */
  ever({ index, topic }: Committed): boolean {
    return this.#since(index).some((rights) => mayReceive(rights, topic))
  }

  /** True when the user could have received `event` at any time since it was committed. */
  always({ index, topic }: Committed): boolean {
    return this.#since(index).every((rights) => mayReceive(rights, topic))
  }

  #since(index: number): Rights[] {
    return this.#history
      .filter((_, i) => (this.#history[i + 1]?.from ?? Infinity) > index)
      .map(({ rights }) => rights)
  }
}
