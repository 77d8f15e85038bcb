/** What is wrong with a users file and where; `line` and `column` from 1, the column in UTF-16 units. */
export interface UsersFault {
  /** Fit for a user. Names may be quoted, nothing else of the content: it holds hashes and notes. */
  readonly message: string
  readonly line: number
  readonly column: number
}

/** A place in the file; an element is one. */
export interface UsersPlace {
  readonly line: number
  readonly column: number
}

/** A file of 4 MiB can hold hundreds of thousands of faults: an answer that long helps nobody. */
const MAX_FAULTS = 1_000

/** Gathers all faults of one file in the order in which they are found, up to a bound. */
export class FaultList {
  readonly #faults: UsersFault[] = []
  #dropped = 0

  add(place: UsersPlace, message: string): void {
    if (this.#faults.length < MAX_FAULTS) {
      this.#faults.push({ message, line: place.line, column: place.column })
    } else {
      this.#dropped += 1
    }
  }

  get isEmpty(): boolean {
    return this.#faults.length === 0
  }

  /** Sorted by place; the last one says how many more there are. */
  all(): readonly UsersFault[] {
    const sorted = this.#faults.toSorted((a, b) => a.line - b.line || a.column - b.column)
    const last = sorted.at(-1)
    if (this.#dropped === 0 || last === undefined) return sorted
    return [...sorted, { ...last, message: `${this.#dropped} more faults are not listed` }]
  }
}
