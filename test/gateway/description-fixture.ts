import Schema from 'typebox/schema'

export interface Document {
  readonly components: { readonly schemas: object }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** What a JSON pointer such as `#/components/schemas/Event` names, or undefined. */
export function resolve(document: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((at, part) => (isObject(at) ? at[part] : undefined), document)
}

/** Every `$ref` of a document, wherever it is. */
export function referencesOf(value: unknown): string[] {
  if (!isObject(value)) return []
  const own = typeof value['$ref'] === 'string' ? [value['$ref']] : []
  return [...own, ...Object.values(value).flatMap(referencesOf)]
}

/** What is wrong with `value` by a schema in a document, as text; empty when nothing is. */
export function faultsBy(document: Document, schema: object, value: unknown): string {
  const { components } = document
  const [isValid, errors] = Schema.Errors({ ...schema, components }, value)
  return isValid ? '' : JSON.stringify({ errors, value })
}
