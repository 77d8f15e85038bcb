import type { FilePath } from '../../protocol/file-path.ts'
import { err, ok, type Result } from '../../protocol/result.ts'
import type { ContentValidator, ReceivedContent, ValidationContext } from '../content-validator.ts'
import type { ContentFault } from '../file-change.ts'
import type { ContentRule, FilePolicy } from '../file-policy.ts'
import { mediaTypeOf } from '../http/media-type.ts'
import { CommandCheck } from './command-check.ts'
import { SchemaCheck } from './schema-check.ts'

/** A larger content is not judged by a schema, and so refused. */
const MAX_SCHEMA_BYTES = 16 * 1024 * 1024

/** Judges contents by the rules of a file policy. */
export class PolicyValidator implements ContentValidator, AsyncDisposable {
  readonly #policy: FilePolicy
  readonly #commands = new CommandCheck()
  #schemas: SchemaCheck

  private constructor(policy: FilePolicy, schemas: SchemaCheck) {
    this.#policy = policy
    this.#schemas = schemas
  }

  /** @returns the validator, or every schema that cannot be used, and why */
  static async open(policy: FilePolicy): Promise<Result<PolicyValidator, readonly string[]>> {
    const schemas = await SchemaCheck.open(policy.schemas())
    return schemas.ok ? ok(new PolicyValidator(policy, schemas.value)) : schemas
  }

  /** Reads the schemas again. With any that cannot be used, all remain as they are. */
  async reload(): Promise<Result<void, readonly string[]>> {
    const schemas = await SchemaCheck.open(this.#policy.schemas())
    if (!schemas.ok) return err(schemas.error)
    const former = this.#schemas
    this.#schemas = schemas.value
    await former.retire()
    return ok(undefined)
  }

  matches(path: FilePath): boolean {
    return this.#policy.of('content', path) !== undefined
  }

  /**
   * The size and the name cost nothing and are judged together; what reads the content is asked only about
   * one that they accept, and the command, the dearest, last.
   */
  async validate(
    content: ReceivedContent,
    { path }: ValidationContext,
  ): Promise<readonly ContentFault[]> {
    const rule = this.#policy.of('content', path)
    if (rule === undefined) return []
    const outer = [...sizeFaults(content, rule), ...typeFaults(path, rule)]
    if (outer.length > 0) return outer
    const inner = await this.#schemaFaults(content, path, rule)
    if (inner.length > 0 || rule.command === undefined) return inner
    return this.#commands.judge({ path, content, command: rule.command, limitMs: rule.commandMs })
  }

  async close(): Promise<void> {
    await Promise.all([this.#commands.close(), this.#schemas.close()])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #schemaFaults(
    content: ReceivedContent,
    path: FilePath,
    { schema, commandMs }: ContentRule,
  ): Promise<readonly ContentFault[]> {
    if (schema === undefined) return []
    if (content.size > MAX_SCHEMA_BYTES) {
      return [{ message: `has more than the ${MAX_SCHEMA_BYTES} bytes that a schema judges` }]
    }
    const isLines = mediaTypeOf(path) === 'application/x-ndjson'
    return this.#schemas.judge({ schema, bytes: await content.bytes(), isLines }, commandMs)
  }
}

function sizeFaults({ size }: ReceivedContent, { maxBytes }: ContentRule): ContentFault[] {
  if (maxBytes === undefined || size <= maxBytes) return []
  return [{ message: `has ${size} bytes, where ${maxBytes} are the most` }]
}

function typeFaults(path: FilePath, { mediaTypes }: ContentRule): ContentFault[] {
  const [type = ''] = mediaTypeOf(path).split(';')
  const accepts = (pattern: string) =>
    pattern.endsWith('/*') ? type.startsWith(pattern.slice(0, -1)) : pattern === type
  if (mediaTypes === undefined || mediaTypes.some((pattern) => accepts(pattern))) return []
  return [{ message: `is ${type} by its name, which is not accepted here` }]
}
