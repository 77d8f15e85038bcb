import Type from 'typebox'
import { schemaRef } from './schema-ref.ts'

const text = Type.String()

/** `components.headers`: header fields of answers, by name. */
export const HEADERS = {
  'Accept-Ranges': { description: '`bytes`.', schema: text },
  Allow: { description: 'The methods of this address.', schema: text },
  'Broker-Position': {
    description: 'Place of the event that tells the change.',
    schema: schemaRef('Position'),
  },
  'Content-Range': { description: 'Which part it is, RFC 9110 section 14.4.', schema: text },
  ETag: { description: 'The content by its digest.', schema: schemaRef('EntityTag') },
  'Last-Modified': { description: 'When the content was written, an HTTP date.', schema: text },
  Location: { description: 'Where it is.', schema: Type.String({ format: 'uri-reference' }) },
  'Repr-Digest': { description: '`sha-256=:<base64>:`, RFC 9530.', schema: text },
  'Retry-After': { description: 'Seconds.', schema: Type.Integer({ minimum: 0 }) },
  'WWW-Authenticate': { description: 'The schemes that are understood.', schema: text },
} as const

export type HeaderName = keyof typeof HEADERS
