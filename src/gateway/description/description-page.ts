import { createHash } from 'node:crypto'
import type { TSchema } from 'typebox'
import { escapeHtml } from '../../files/http/escape-html.ts'
import { HTTP_SCHEMAS } from './component-schemas.ts'
import { DESCRIPTION_SCRIPT } from './description-script.ts'
import { OPENAPI_PATHS } from './openapi-document.ts'
import { type Operation, type OperationResponse, RESPONSES } from './openapi-operation.ts'
import type { Parameter } from './openapi-parameters.ts'

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
  @media (prefers-color-scheme: dark) { body { background: #16181c; color: #e6e6e6 } a { color: #8ab4f8 } }
  summary { cursor: pointer; padding: .3rem 0 } summary code { font-weight: 600 }
  .method { display: inline-block; min-width: 5rem }
  details { border-top: 1px solid #8884 } form { padding: 0 0 1rem 1rem }
  label { display: grid; grid-template-columns: 11rem 14rem 1fr; gap: .75rem; margin: .3rem 0 }
  label small { opacity: .8 } textarea { width: 100%; height: 6rem }
  dt { font-weight: 600 } dd { margin: 0 0 .3rem }
  output { display: block; white-space: pre-wrap; overflow-wrap: anywhere; font-family: monospace }
`

export interface DescriptionPage {
  readonly html: string
  readonly contentSecurityPolicy: string
}

/** All operations with their parameters and answers, each a form that sends it. */
export function renderDescriptionPage(version: string): DescriptionPage {
  const html = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Data Broker: HTTP</title><style>${STYLE}</style>
<h1>Data Broker ${escapeHtml(version)}: HTTP</h1>
<p>As documents: <a href="openapi.json">OpenAPI</a>, and for WebSocket, streams and ZeroMQ
<a href="asyncapi.json">AsyncAPI</a>.</p>
<label>Token <input id="token" type="password" autocomplete="off" placeholder="dbk_...">
<small>Sent with what is tried below; empty is anonymous. It is kept in this field only.</small></label>
${Object.entries(OPENAPI_PATHS).map(renderPath).join('\n')}
<h2>Schemas</h2>
${Object.entries(HTTP_SCHEMAS).map(renderSchema).join('\n')}
<script>${DESCRIPTION_SCRIPT}</script>
</html>
`
  const contentSecurityPolicy = [
    "default-src 'none'",
    `style-src ${hashOf(STYLE)}`,
    `script-src ${hashOf(DESCRIPTION_SCRIPT)}`,
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return { html, contentSecurityPolicy }
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

function renderPath([path, item]: [string, Readonly<Record<string, Operation>>]): string {
  return Object.entries(item)
    .map(([method, operation]) => renderOperation(path, method.toUpperCase(), operation))
    .join('\n')
}

function renderOperation(path: string, method: string, operation: Operation): string {
  const { operationId, summary, description = '', parameters = [] } = operation
  const form = `<form data-method="${method}" data-path="${escapeHtml(path)}">
<p>${escapeHtml(description)}</p>
${parameters.map(renderParameter).join('\n')}
${renderAccept(operation)}
${renderBody(operation)}
<p><button>Send</button> <button type="button" class="stop" hidden>Stop</button></p>
<output></output>
<dl>${renderResponses(operation)}</dl>
</form>`
  return `<details id="${operationId}"><summary><span class="method">${method}</span>
<code>${escapeHtml(path)}</code> ${escapeHtml(summary)}</summary>
${form}</details>`
}

function renderParameter({
  name,
  in: place,
  required,
  example = '',
  description,
}: Parameter): string {
  const value = required === true ? ` value="${escapeHtml(example)}" required` : ''
  return `<label><code>${escapeHtml(name)}</code>
<input name="${escapeHtml(name)}" data-in="${place}"${value}>
<small>${place}. ${escapeHtml(description)}</small></label>`
}

/** A choice, when there is one. */
function renderAccept({ responses }: Operation): string {
  const types = Object.keys(resolved(responses['200'] ?? { description: '' }).content ?? {})
  if (types.length < 2) return ''
  return `<label><code>Accept</code> <select name="Accept" data-in="header">${options(types)}</select></label>`
}

function renderBody({ requestBody }: Operation): string {
  if (requestBody === undefined) return ''
  const types = Object.keys(requestBody.content)
  const type = `<label><code>Content-Type</code> <select name="type">${options(types)}</select></label>`
  return types.includes('multipart/form-data')
    ? `${type}<p><input type="file" name="files" multiple></p>`
    : `${type}<p><textarea name="body" aria-label="Body"></textarea></p>`
}

function options(values: readonly string[]): string {
  return values.map((value) => `<option>${escapeHtml(value)}</option>`).join('')
}

function renderResponses({ responses }: Operation): string {
  return Object.entries(responses)
    .map(([status, response]) => {
      const { description } = resolved(response)
      return `<dt>${status}</dt><dd>${escapeHtml(description)}</dd>`
    })
    .join('\n')
}

/** The only reference among responses is the one to what all operations share. */
function resolved(response: Operation['responses'][string]): OperationResponse {
  return '$ref' in response ? RESPONSES.Problem : response
}

function renderSchema([name, schema]: [string, TSchema]): string {
  const json = escapeHtml(JSON.stringify(schema, undefined, 2))
  return `<details id="${name}"><summary><code>${name}</code></summary><pre>${json}</pre></details>`
}
