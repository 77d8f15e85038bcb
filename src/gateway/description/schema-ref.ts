import Type, { type TSchema } from 'typebox'

/** A reference to a schema of `COMPONENT_SCHEMAS`, which lie at the same place in both documents. */
export function schemaRef(name: string): TSchema {
  return Type.Ref(`#/components/schemas/${name}`)
}
