import type { BigIntStats } from 'node:fs'
import type { ConfinedDirectory } from './confined-directory.ts'

/** Where a file lies: an open directory and the name in it. The caller closes it. */
export class Place implements AsyncDisposable {
  readonly directory: ConfinedDirectory
  readonly name: string

  constructor(directory: ConfinedDirectory, name: string) {
    this.directory = directory
    this.name = name
  }

  /** A path of it, good while the directory is open. */
  get file(): string {
    return this.directory.at(this.name)
  }

  /** What is there, a link not followed; undefined when there is nothing. */
  stat(): Promise<BigIntStats | undefined> {
    return this.directory.stat(this.name)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.directory[Symbol.asyncDispose]()
  }
}
