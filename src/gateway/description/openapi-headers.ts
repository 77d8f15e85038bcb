import Type from 'typebox'
import { schemaRef } from './schema-ref.ts'

const text = Type.String()
const count = Type.Integer({ minimum: 0 })

/** `components.headers`: header fields of answers, by name. */
export const HEADERS = {
  'Accept-Ranges': { description: '`bytes`.', schema: text },
  Allow: { description: 'The methods of this address.', schema: text },
  'Broker-Position': {
    description: 'Place of the event that tells the change.',
    schema: schemaRef('Position'),
  },
  'Content-Location': { description: 'Where the file is.', schema: text },
  'Content-Range': { description: 'Which part it is, RFC 9110 section 14.4.', schema: text },
  ETag: { description: 'The content by its digest.', schema: schemaRef('EntityTag') },
  'Last-Modified': { description: 'When the content was written, an HTTP date.', schema: text },
  Link: { description: 'The next page as `rel="next"`, RFC 8288.', schema: text },
  Location: { description: 'Where it is.', schema: Type.String({ format: 'uri-reference' }) },
  'Repr-Digest': {
    description: '`sha-256=:<base64>:` or, where preferred, `sha-512`; RFC 9530.',
    schema: text,
  },
  'Retry-After': { description: 'Seconds.', schema: Type.Integer({ minimum: 0 }) },
  'Tus-Checksum-Algorithm': { description: 'Of parts, separated by commas.', schema: text },
  'Tus-Extension': { description: 'What is understood beside the core of tus.', schema: text },
  'Tus-Max-Size': { description: 'Largest upload, where there is a limit.', schema: count },
  'Tus-Resumable': { description: '`1.0.0`.', schema: text },
  'Tus-Version': { description: 'The versions of tus that are understood.', schema: text },
  'Upload-Expires': { description: 'When it is removed unless a part comes.', schema: text },
  'Upload-Length': { description: 'Bytes of the whole.', schema: count },
  'Upload-Metadata': { description: 'As it was sent.', schema: text },
  'Upload-Offset': { description: 'Bytes that are on the disk.', schema: count },
  'WWW-Authenticate': { description: 'The schemes that are understood.', schema: text },
} as const

export type HeaderName = keyof typeof HEADERS
