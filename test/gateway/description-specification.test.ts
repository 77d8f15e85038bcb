import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import { asyncApiDocument } from '../../src/gateway/description/asyncapi-document.ts'
import { openApiDocument } from '../../src/gateway/description/openapi-document.ts'

const CONTEXT = { version: '1.2.3', publicUrl: 'https://broker.example' }

/** As it is served. */
function served<Document extends object>(document: Document) {
  return JSON.parse(JSON.stringify(document))
}

test('the OpenAPI document is one by the schema of OpenAPI 3.1', async () => {
  const document = served(openApiDocument(CONTEXT))
  const validator = new Validator()
  assert.deepEqual(await validator.validate(document), { valid: true })
  assert.equal(validator.version, '3.1')
  const broken = { ...document, paths: { files: {} } }
  assert.equal((await new Validator().validate(broken)).valid, false)
})

test('the AsyncAPI document is one by the schema of AsyncAPI 3.0', async () => {
  const document = served(asyncApiDocument(CONTEXT))
  const file = new URL(import.meta.resolve('@asyncapi/specs/schemas/3.0.0-without-$id.json'))
  // The schema holds the schema of schemas, which Ajv would have twice.
  const ajv = new Ajv({ meta: false, validateSchema: false, strict: false, logger: false })
  formats.default(ajv)
  const validate = ajv.compile(JSON.parse(await readFile(file, 'utf8')))
  validate(document)
  assert.deepEqual(validate.errors, null)
  const [name = ''] = Object.keys(document.operations)
  document.operations[name].action = 'shout'
  assert.equal(validate(document), false)
})
