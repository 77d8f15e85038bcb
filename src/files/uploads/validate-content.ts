import { BrokerError } from '../../protocol/problem.ts'
import type { ContentValidator, ReceivedContent } from '../content-validator.ts'
import type { StagedFile } from '../store/file-store.ts'

/**
 * Asks every validator of a path.
 *
 * @throws {BrokerError} `CONTENT_INVALID` with all that they found in `errors`
 */
export async function validateContent(
  validators: readonly ContentValidator[],
  staged: StagedFile,
  content: Pick<ReceivedContent, 'file' | 'bytes'>,
  confirmShrink: boolean,
): Promise<void> {
  const { path, size, sha256 } = staged
  const faults = []
  for (const validator of validators) {
    if (!validator.matches(path)) continue
    const context = { path, confirmShrink }
    faults.push(...(await validator.validate({ ...content, size, sha256 }, context)))
  }
  if (faults.length === 0) return
  const [first] = faults
  const detail = first === undefined ? '' : first.message
  throw new BrokerError('CONTENT_INVALID', detail, { fields: { errors: faults } })
}
