import { readFile } from 'node:fs/promises'
import type { ContentValidator } from '../content-validator.ts'
import { type DigestAlgorithm, type StatedDigest, verifyDigests } from '../http/digest-fields.ts'
import type { StageOptions } from '../store/file-store.ts'
import type { Received } from './receive-content.ts'
import type { TemporaryFile } from './temporary-file.ts'
import { validateContent } from './validate-content.ts'

/** What is computed of a content: SHA-256, which names it, and what else its sender stated. */
export function algorithmsFor(digests: readonly StatedDigest[]): readonly DigestAlgorithm[] {
  const isStated = digests.some(({ algorithm }) => algorithm === 'sha-512')
  return isStated ? ['sha-256', 'sha-512'] : ['sha-256']
}

/**
 * Makes a content that was received whole a staged file.
 *
 * @throws {BrokerError} `DIGEST_MISMATCH`, `CONTENT_INVALID`
 */
export async function acceptContent(
  temporary: TemporaryFile,
  { size, digests }: Received,
  options: StageOptions,
  validators: readonly ContentValidator[],
): Promise<void> {
  verifyDigests(options.digests, digests)
  temporary.size = size
  temporary.sha256 = digests['sha-256'] ?? ''
  const content = { file: temporary.file, bytes: () => readFile(temporary.file) }
  await validateContent(validators, temporary, content, options.confirmShrink)
}
