import assert from 'node:assert/strict'
import type { FileChange } from '../../src/files/file-change.ts'

type Change = Pick<FileChange, 'type' | 'sha256'> & {
  readonly path: string
  readonly movedFrom?: string
  readonly movedTo?: string
}

/** What a subscriber makes of the changes, while it checks that none is idle or out of place. */
export class ChangeFold {
  readonly files = new Map<string, string>()

  take(changes: readonly Change[]): void {
    for (const { type, path, sha256, movedFrom, movedTo } of changes) {
      const before = this.files.get(path)
      if (type === 'FILE CREATED') assert.equal(before, undefined, `${path} is created twice`)
      else assert.notEqual(before, undefined, `${type} of ${path}, which is not there`)
      if (type === 'FILE DELETED') assert.equal(sha256, before)
      else assert.notEqual(sha256, before, `${path} did not change`)
      if (movedFrom !== undefined) assert.equal(this.files.has(movedFrom), false)
      if (movedTo !== undefined) assert.equal(type, 'FILE DELETED')
      if (type === 'FILE DELETED') this.files.delete(path)
      else this.files.set(path, sha256)
    }
  }
}
