import { BrokerError, type ProblemCode } from '../../protocol/problem.ts'

const FAULTS: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  ENOSPC: ['STORAGE_FULL', 'no space is left on the device'],
  EDQUOT: ['STORAGE_FULL', 'the disk quota is used up'],
  EFBIG: ['STORAGE_FULL', 'the file system does not take a file of this size'],
  EROFS: ['READ_ONLY', 'the file system is read-only'],
  EACCES: ['READ_ONLY', 'the broker may not write there'],
  EPERM: ['READ_ONLY', 'the broker may not write there'],
  EBUSY: ['READ_ONLY', 'the file is mounted or in use'],
  EXDEV: ['READ_ONLY', 'another file system is mounted inside the volume there'],
  ENOTDIR: ['PATH_CONFLICT', 'a file is where the path needs a directory'],
  EISDIR: ['PATH_CONFLICT', 'a directory has this name'],
  EEXIST: ['PATH_CONFLICT', 'something else has this name'],
  ENOTEMPTY: ['PATH_CONFLICT', 'a directory has this name'],
  ELOOP: ['PATH_CONFLICT', 'a symbolic link is in the way'],
  ENAMETOOLONG: ['PATH_INVALID', 'the file system does not take a name of this length'],
  EMFILE: ['UNAVAILABLE', 'too many files are open'],
  ENFILE: ['UNAVAILABLE', 'too many files are open'],
}

/** What the failure of a file operation means to a caller; anything else is passed through. */
export function storageFault(error: unknown): unknown {
  const [problem, detail] = FAULTS[errorCode(error) ?? ''] ?? []
  if (problem === undefined || detail === undefined) return error
  return new BrokerError(problem, detail, { cause: error })
}

/** The `code` of a system error, e.g. `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** True when a name is not there, or leads through something that is no directory. */
export function isMissing(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENAMETOOLONG'
}
