import { unlink } from 'node:fs/promises'
import { isMissing } from './storage-fault.ts'

/** @returns false when there was nothing of that name */
export async function unlinkIfThere(file: string): Promise<boolean> {
  try {
    await unlink(file)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}
