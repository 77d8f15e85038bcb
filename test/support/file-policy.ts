import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A file for `--file-policy` in a directory of its own. */
export class FilePolicyText implements AsyncDisposable {
  readonly file: string
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
    this.file = join(directory, 'policy.json')
  }

  static async write(...rules: readonly object[]): Promise<FilePolicyText> {
    const policy = new FilePolicyText(await mkdtemp(join(tmpdir(), 'broker-policy-')))
    await policy.rewrite(...rules)
    return policy
  }

  async rewrite(...rules: readonly object[]): Promise<void> {
    await writeFile(this.file, JSON.stringify({ rules }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}
