import type { FaultList, UsersPlace } from './users-fault.ts'

/**
 * Names of one kind, reported when used twice. Names that differ only by case are the same to a reader and
 * to file systems that fold it, so they count as the same here; looking one up does not fold.
 */
export class UniqueNames {
  readonly #kind: string
  readonly #faults: FaultList
  readonly #lines = new Map<string, number>()
  readonly #names = new Set<string>()

  constructor(kind: string, faults: FaultList) {
    this.#kind = kind
    this.#faults = faults
  }

  add(place: UsersPlace, name: string): void {
    const folded = name.toLowerCase()
    const line = this.#lines.get(folded)
    const isSame = this.#names.has(name)
    this.#names.add(name)
    if (line === undefined) this.#lines.set(folded, place.line)
    else {
      const how = isSame ? '' : ', differing only by case'
      this.#faults.add(place, `the ${this.#kind} "${name}" is there already in line ${line}${how}`)
    }
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }
}
