import assert from 'node:assert/strict'
import type { TestGateway, TestUser } from './gateway.ts'

/** What every request of tus carries. */
export const TUS = { 'tus-resumable': '1.0.0' } as const

type As = { readonly as?: TestUser | 'admin' | undefined }

export function metadataOf(metadata: Readonly<Record<string, string>>): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',')
}

/** Asks for an upload; `headers` replace those that are made of `path` and `length`. */
export function askToCreate(
  broker: TestGateway,
  path: string,
  length: number,
  options: Omit<RequestInit, 'headers'> & As & { headers?: Record<string, string> } = {},
): Promise<Response> {
  const { headers, as, ...rest } = { as: 'admin' as const, ...options }
  return broker.request('/uploads', {
    method: 'POST',
    ...rest,
    ...(as !== undefined && { as }),
    headers: {
      ...TUS,
      'upload-length': String(length),
      'upload-metadata': metadataOf({ path }),
      ...headers,
    },
  })
}

/** @returns where the upload is */
export async function create(...request: Parameters<typeof askToCreate>): Promise<string> {
  const answer = await askToCreate(...request)
  assert.equal(answer.status, 201, await answer.text())
  return answer.headers.get('location') ?? ''
}

/** Sends a part. */
export function send(
  broker: TestGateway,
  url: string,
  offset: number,
  part: RequestInit['body'],
  options: As & { headers?: Record<string, string> } = {},
): Promise<Response> {
  const { as, headers } = { as: 'admin' as const, headers: {}, ...options }
  return broker.request(url, {
    ...(as !== undefined && { as }),
    method: 'PATCH',
    body: part ?? null,
    duplex: 'half',
    headers: {
      ...TUS,
      'content-type': 'application/offset+octet-stream',
      'upload-offset': String(offset),
      ...headers,
    },
  })
}
