import { createHash } from 'node:crypto'
import type { Fingerprint } from '../../src/files/fingerprint.ts'
import type {
  ContentCopy,
  ContentReader,
  FileLook,
  HashedContent,
} from '../../src/files/watch/content-reader.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'

interface FakeFile {
  readonly text: string
  readonly fingerprint: Fingerprint
  readonly isShared: boolean
}

/** Files that change when a test says so, also while they are read. */
export class FakeDisk implements ContentReader {
  readonly files = new Map<string, FakeFile>()
  readonly hashed: string[] = []
  /** Called in the middle of reading a file. */
  whileHashing: (path: string) => void | Promise<void> = () => {}
  #time = 0n
  #inode = 0n

  write(path: string, text: string): void {
    const before = this.files.get(path)
    this.#put(path, text, before?.fingerprint.ino ?? ++this.#inode, before?.isShared ?? false)
  }

  /** A new file under an old name, as editors and rsync do it. */
  replace(path: string, text: string): void {
    this.#put(path, text, ++this.#inode, false)
  }

  /** Only the times change. */
  touch(path: string): void {
    this.write(path, this.#get(path).text)
  }

  move(from: string, to: string): void {
    const file = this.#get(from)
    this.files.delete(from)
    this.#put(to, file.text, file.fingerprint.ino, file.isShared)
  }

  /** Gives a file another name somewhere. */
  share(path: string, isShared = true): void {
    const file = this.#get(path)
    this.#put(path, file.text, file.fingerprint.ino, isShared)
  }

  remove(path: string): void {
    this.files.delete(path)
  }

  seen(path: string): Fingerprint | null {
    return this.files.get(path)?.fingerprint ?? null
  }

  async look(path: FilePath): Promise<FileLook | undefined> {
    return this.files.get(path)
  }

  async hash(path: FilePath): Promise<HashedContent | undefined> {
    const file = this.files.get(path)
    if (file === undefined) return undefined
    this.hashed.push(path)
    await this.whileHashing(path)
    const after = this.files.get(path)?.fingerprint ?? file.fingerprint
    return { sha256: sha256(file.text), before: file.fingerprint, after }
  }

  async copy(path: FilePath): Promise<ContentCopy | undefined> {
    const text = this.files.get(path)?.text
    if (text === undefined) return undefined
    return {
      size: Buffer.byteLength(text),
      sha256: sha256(text),
      file: undefined,
      bytes: async () => Buffer.from(text),
      keep: async () => {},
      [Symbol.asyncDispose]: async () => {},
    }
  }

  async retain(): Promise<void> {}

  #get(path: string): FakeFile {
    const file = this.files.get(path)
    if (file === undefined) throw new Error(`no ${path}`)
    return file
  }

  #put(path: string, text: string, ino: bigint, isShared: boolean): void {
    this.#time += 1n
    const times = { mtimeNs: this.#time * 1_000_000n, ctimeNs: this.#time * 1_000_000n }
    const fingerprint = { dev: 1n, ino, size: Buffer.byteLength(text), ...times }
    this.files.set(path, { text, fingerprint, isShared })
  }
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
