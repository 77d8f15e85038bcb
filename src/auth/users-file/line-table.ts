import type { UsersPlace } from './users-fault.ts'

/** Turns offsets into lines and columns, both from 1. A line ends with LF, CRLF or CR, as XML says. */
export class LineTable {
  readonly #starts: readonly number[]

  constructor(text: string) {
    const starts = [0]
    for (const end of text.matchAll(/\r\n?|\n/g)) starts.push(end.index + end[0].length)
    this.#starts = starts
  }

  placeOf(offset: number): UsersPlace {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 }
  }

  /** The inverse of `placeOf`. */
  offsetOf(place: UsersPlace): number {
    return (this.#starts[place.line - 1] ?? 0) + place.column - 1
  }
}
