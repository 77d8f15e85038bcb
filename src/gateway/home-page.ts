import { createHash } from 'node:crypto'

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }
  @media (prefers-color-scheme: dark) { body { background: #16181c; color: #e6e6e6 } a { color: #8ab4f8 } }
  dt { font-weight: 600 } dd { margin: 0 0 .75rem }
`

const WHAT: Readonly<Record<string, string>> = {
  events:
    'Publish with POST, subscribe with GET as a page, NDJSON, server-sent events or WebSocket.',
  websocket: 'The multiplexed protocol broker.v1.json.',
  files: 'Upload, download and list files.',
  identity: 'Who you are and what you may do.',
  health: 'Whether each part is ready.',
  metrics: 'For Prometheus.',
  openapi: 'Every request, described, with a way to try it; as a document at /openapi.json.',
  asyncapi: 'The streams and messages, described.',
}

/** What runs here and where to go, for a browser. */
export function renderHome(
  version: string,
  places: Readonly<Record<string, string>>,
): { readonly html: string; readonly contentSecurityPolicy: string } {
  const rows = Object.entries(places)
    .map(([name, path]) => `<dt><a href=".${path}">${path}</a></dt><dd>${WHAT[name] ?? ''}</dd>`)
    .join('\n')
  const html = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Data Broker</title><style>${STYLE}</style>
<h1>Data Broker ${version}</h1>
<p>A gateway through which systems exchange events and files.</p>
<dl>
${rows}
</dl>
</html>
`
  const hash = createHash('sha256').update(STYLE).digest('base64')
  const contentSecurityPolicy = [
    "default-src 'none'",
    `style-src 'sha256-${hash}'`,
    // For whoever tries the broker from the console of this page.
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return { html, contentSecurityPolicy }
}
