import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { err, ok, type Result } from '../../protocol/result.ts'
import type { ContentFault } from '../file-change.ts'
import { faultText, MAX_FAULTS } from './fault-text.ts'
import { JsonPlaces, placeOfSyntaxFault } from './json-places.ts'

const DIALECTS = new Map([
  ['http://json-schema.org/draft-07/schema', Ajv],
  ['https://json-schema.org/draft/2020-12/schema', Ajv2020],
])

const LATEST = 'https://json-schema.org/draft/2020-12/schema'

/** Of a larger document only the first fault is told: each may cost as much as a value of it. */
const ALL_FAULTS_CHARACTERS = 1024 * 1024

/** Judges JSON by one schema. It may take long: a schema may hold any regular expression. */
export class JsonJudge {
  readonly #first: ValidateFunction
  readonly #all: ValidateFunction

  private constructor(first: ValidateFunction, all: ValidateFunction) {
    this.#first = first
    this.#all = all
  }

  /** @returns the judge, or why `text` is no schema by which anything can be judged */
  static compile(text: string): Result<JsonJudge, string> {
    try {
      const schema: unknown = JSON.parse(text)
      const isObject = typeof schema === 'object' && schema !== null
      if (!isObject && typeof schema !== 'boolean') return err('is neither an object nor a boolean')
      const stated = isObject && '$schema' in schema ? String(schema.$schema) : LATEST
      const Dialect = DIALECTS.get(stated.replace(/#$/, ''))
      if (Dialect === undefined) return err('is of a dialect other than draft-07 and 2020-12')
      const compile = (options: Options) => {
        const ajv = new Dialect({ ...options, strict: false, logger: false })
        formats.default(ajv)
        return ajv.compile(schema)
      }
      return ok(new JsonJudge(compile({}), compile({ allErrors: true })))
    } catch (error) {
      return err(error instanceof Error ? error.message : String(error))
    }
  }

  /** Every fault of a document, with its place. */
  document(bytes: Uint8Array): readonly ContentFault[] {
    const text = decode(bytes)
    return typeof text === 'string' ? this.#judge(text) : [text]
  }

  /** The same for a document on each line; empty lines are none. */
  lines(bytes: Uint8Array): readonly ContentFault[] {
    const text = decode(bytes)
    if (typeof text !== 'string') return [text]
    const faults: ContentFault[] = []
    for (const [i, line] of text.split('\n').entries()) {
      if (faults.length >= MAX_FAULTS) break
      if (line.trim() === '') continue
      faults.push(...this.#judge(line).map((fault) => ({ ...fault, line: i + 1 })))
    }
    return faults.slice(0, MAX_FAULTS)
  }

  #judge(text: string): readonly ContentFault[] {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      // The words of the engine quote what it found.
      return [{ message: 'is not JSON', ...placeOfSyntaxFault(text) }]
    }
    try {
      if (this.#first(value)) return []
      const isSmall = text.length <= ALL_FAULTS_CHARACTERS
      if (isSmall) this.#all(value)
      const errors = (isSmall ? this.#all.errors : this.#first.errors) ?? []
      const places = isSmall ? new JsonPlaces(text) : undefined
      return errors.slice(0, MAX_FAULTS).map((error) => faultOf(error, places))
    } catch (error) {
      if (error instanceof RangeError) return [{ message: 'is nested too deeply to be judged' }]
      throw error
    }
  }
}

function faultOf(error: ErrorObject, places: JsonPlaces | undefined): ContentFault {
  const pointer = pointerOf(error)
  const message = faultText(`${pointer || '/'} ${error.message ?? 'does not fit the schema'}`)
  return { message, ...places?.placeOf(pointer) }
}

/** What is wrong about a name is told at the name, not at the object that has it. */
function pointerOf({ instancePath, params, propertyName }: ErrorObject): string {
  const name: unknown =
    propertyName ??
    params['additionalProperty'] ??
    params['unevaluatedProperty'] ??
    params['propertyName']
  if (typeof name !== 'string') return instancePath
  return `${instancePath}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** RFC 8259: UTF-8 without a byte order mark, which `JSON.parse` refuses. */
function decode(bytes: Uint8Array): string | ContentFault {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return { message: 'is not UTF-8' }
  }
}
