import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import Type, { type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import {
  type ContentRule,
  DEFAULT_LIMITS,
  FilePolicy,
  type FileRule,
  type VersionRule,
} from '../files/file-policy.ts'
import { err, ok, type Result } from '../protocol/result.ts'
import type { Settings } from './settings/settings.ts'
import { parseDuration, parseSize } from './settings/settings-units.ts'
import { UsageError } from './settings/settings-usage-error.ts'

const closed = <Fields extends Record<string, TSchema>>(fields: Fields) =>
  Type.Object(fields, { additionalProperties: false })

const RuleSchema = closed({
  paths: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })]),
  conditional: Type.Optional(Type.Boolean()),
  versions: Type.Optional(
    closed({
      keep: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
      for: Type.Optional(Type.String()),
    }),
  ),
  undelete: Type.Optional(Type.String()),
  retain: Type.Optional(Type.String()),
  content: Type.Optional(
    closed({
      maxSize: Type.Optional(Type.String()),
      mediaTypes: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
      schema: Type.Optional(Type.String()),
      command: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
      timeout: Type.Optional(Type.String()),
    }),
  ),
})

/** The file that `--file-policy` names. Sizes as `10MiB`, durations as `30d`. */
export const FilePolicyFile = closed({
  freeSpace: Type.Optional(Type.String()),
  quota: Type.Optional(Type.String()),
  userQuota: Type.Optional(Type.String()),
  uploadsAtOnce: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  slowestUpload: Type.Optional(Type.String()),
  rules: Type.Optional(Type.Array(RuleSchema)),
})

type PolicyText = Static<typeof FilePolicyFile>
type RuleText = Static<typeof RuleSchema>

/** How long an external command may take. */
const COMMAND_MS = 10_000

/** @throws {UsageError} with every fault of the file */
export async function readFilePolicy({
  filePolicy,
}: Pick<Settings, 'filePolicy'>): Promise<FilePolicy> {
  if (filePolicy === undefined) return new FilePolicy(DEFAULT_LIMITS, [])
  const text = await readFile(filePolicy, 'utf8').catch(({ code }: NodeJS.ErrnoException) => {
    throw new UsageError([`--file-policy: ${filePolicy} cannot be read (${code})`])
  })
  const policy = parseFilePolicy(filePolicy, text)
  if (!policy.ok) throw new UsageError(policy.error)
  return policy.value
}

/**
 * @param name - how messages call the file; relative paths in it are relative to its directory
 * @returns the policy, or every fault with the place in the file
 */
export function parseFilePolicy(name: string, text: string): Result<FilePolicy, readonly string[]> {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    return err([`${name}: is not JSON`])
  }
  if (!Value.Check(FilePolicyFile, content)) {
    const faults = Value.Errors(FilePolicyFile, content)
    return err(
      faults.map(({ instancePath, message }) => `${name}: ${instancePath || '/'} ${message}`),
    )
  }
  const reader = new PolicyReader(name)
  const policy = reader.policy(content)
  return reader.faults.length > 0 ? err(reader.faults) : ok(policy)
}

/** Reads the quantities of a file whose form was checked, and notes what is none. */
class PolicyReader {
  readonly faults: string[] = []
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  policy({ rules = [], uploadsAtOnce, ...text }: PolicyText): FilePolicy {
    const limits = {
      freeBytes: this.#size('/freeSpace', text.freeSpace),
      quotaBytes: this.#size('/quota', text.quota),
      userQuotaBytes: this.#size('/userQuota', text.userQuota),
      uploadsAtOnce,
      slowestUpload: this.#size('/slowestUpload', text.slowestUpload),
    }
    return new FilePolicy(
      { ...DEFAULT_LIMITS, ...stated(limits) },
      rules.map((rule, i) => this.#rule(`/rules/${i}`, rule)),
    )
  }

  #rule(
    at: string,
    { paths, conditional, versions, undelete, retain, content }: RuleText,
  ): FileRule {
    return {
      globs: this.#globs(`${at}/paths`, [paths].flat()),
      ...stated({
        conditional,
        versions: versions && this.#versions(`${at}/versions`, versions),
        undeleteMs: this.#duration(`${at}/undelete`, undelete),
        retainMs: this.#duration(`${at}/retain`, retain),
        content: content && this.#content(`${at}/content`, content),
      }),
    }
  }

  #versions(at: string, { keep, for: age }: NonNullable<RuleText['versions']>): VersionRule {
    return stated({ keep, ageMs: this.#duration(`${at}/for`, age) })
  }

  #content(at: string, text: NonNullable<RuleText['content']>): ContentRule {
    const { maxSize, mediaTypes, schema, command, timeout } = text
    return {
      commandMs: this.#duration(`${at}/timeout`, timeout) ?? COMMAND_MS,
      ...stated({
        maxBytes: this.#size(`${at}/maxSize`, maxSize),
        mediaTypes,
        schema: schema && resolve(dirname(this.#name), schema),
        command: command && this.#command(command),
      }),
    }
  }

  /** A program in a directory is relative to that of the policy; any other is looked for on the PATH. */
  #command([program = '', ...args]: readonly string[]): readonly string[] {
    return [program.includes('/') ? resolve(dirname(this.#name), program) : program, ...args]
  }

  #globs(at: string, globs: readonly string[]): readonly string[] {
    const wrong = globs.find((glob) => glob === '' || glob.startsWith('/'))
    if (wrong !== undefined) this.#fault(at, 'paths begin with a name, not with a slash')
    return globs
  }

  #size(at: string, text: string | undefined): number | undefined {
    return this.#quantity(at, text, parseSize)
  }

  #duration(at: string, text: string | undefined): number | undefined {
    return this.#quantity(at, text, parseDuration)
  }

  #quantity(at: string, text: string | undefined, parse: (text: string) => Result<number>) {
    if (text === undefined) return undefined
    const parsed = parse(text)
    if (parsed.ok) return parsed.value
    this.#fault(at, parsed.error)
    return undefined
  }

  #fault(at: string, words: string): void {
    this.faults.push(`${this.#name}: ${at} ${words}`)
  }
}

/** Without the fields that are not there. */
function stated<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Fields]?: Exclude<Fields[Key], undefined>
  }
}
