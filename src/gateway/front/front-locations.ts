import type { FrontOptions } from './front-options.ts'
import { OWN_HEADERS, renderProblemLocations, renderReturn } from './front-problems.ts'

/** The internal location from which Nginx sends what a link below the volumes names. */
export const SERVED_FROM = '/-/serve/'

const MEBIBYTE = 2 ** 20

/** Largest body of many events, which the broker fixes. */
const BATCH_BYTES = 16 * MEBIBYTE

/** What a body may be over what is in it: multipart headers, white space. The broker counts exactly. */
const ENVELOPE_BYTES = MEBIBYTE

/** Set by the broker on a download, and lost when Nginx takes over unless it is told. */
const DOWNLOAD_HEADERS = [
  'ETag',
  'Repr-Digest',
  'Last-Modified',
  'Content-Security-Policy',
  'X-Content-Type-Options',
  'Referrer-Policy',
  'X-Request-Id',
  'Vary',
  'Access-Control-Allow-Origin',
  'Access-Control-Allow-Credentials',
  'Access-Control-Expose-Headers',
  'Cross-Origin-Resource-Policy',
]

/** Set by the broker on a refused upload; `WWW-Authenticate` Nginx takes over by itself. */
const REFUSAL_HEADERS = [
  'Retry-After',
  'Vary',
  'Access-Control-Allow-Origin',
  'Access-Control-Allow-Credentials',
  'Access-Control-Expose-Headers',
]

/** Statuses with which the broker may refuse an upload before its body. */
const REFUSAL_STATUSES = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428, 429, 507]

const UPGRADE = `    proxy_set_header Upgrade $broker_upgrade;
    proxy_set_header Connection $broker_connection;`

const NO_UPGRADE = '    proxy_set_header Connection "";'

/** Sets identity and forwarded headers to what Nginx knows, so that no client can set them. */
export function renderIdentity(options: FrontOptions): string {
  return `# Who the client is, as Nginx knows it. Included in every location that passes requests on: whatever a
# client sends under these names is replaced. An empty value removes the header.

proxy_http_version 1.1;
proxy_set_header Host $broker_host;
proxy_set_header Forwarded "";
proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_set_header X-Forwarded-Host $broker_host;
proxy_set_header X-Client-Verify $ssl_client_verify;
proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
proxy_set_header X-Broker-Proxy "${options.secret}";
proxy_set_header X-Request-Id $request_id;
proxy_set_header X-Original-Method "";
proxy_set_header X-Original-URI "";
proxy_set_header X-Original-Length "";
`
}

export function renderLocations(options: FrontOptions): string {
  return [
    renderOrdinary(options),
    renderStreams(options),
    renderUploads(options),
    renderAsk(options),
    renderDownloads(options),
    `# Answers of Nginx itself.\n\n${renderProblemLocations(options.publicUrl)}`,
  ].join('\n')
}

function renderOrdinary({ limits }: FrontOptions): string {
  return `# proxy_pass never has a URI here: the broker is sent the target as it came and reads it by itself.

location / {
    include broker-identity.conf;
${NO_UPGRADE}
    proxy_pass http://broker;
}

location /auth/ {
    include broker-identity.conf;
${NO_UPGRADE}
    limit_req zone=broker_attempts burst=${limits.attemptsBurst} nodelay;
    proxy_pass http://broker;
}

# Only Nginx asks there, and only Nginx is led here.
location /auth/upload { return 404; }
location /-/ { return 404; }
`
}

function renderStreams({ limits, maxEventBytes }: FrontOptions): string {
  return `# The only two places where a connection may change its protocol.

location = /ws {
    include broker-identity.conf;
${UPGRADE}
    limit_req zone=broker_attempts burst=${limits.attemptsBurst} nodelay;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
    proxy_pass http://broker;
}

# Published events, pages of history, WebSockets, SSE and NDJSON. A quiet NDJSON stream sends nothing at all.
location /events {
    include broker-identity.conf;
${UPGRADE}
    limit_req zone=broker_streams burst=${limits.attemptsBurst} nodelay;
    client_max_body_size ${Math.max(BATCH_BYTES, maxEventBytes) + ENVELOPE_BYTES};
    client_body_buffer_size 256k;
    proxy_buffering off;
    proxy_read_timeout 24h;
    proxy_send_timeout 24h;
    proxy_pass http://broker;
}
`
}

function renderUploads({ maxFileBytes }: FrontOptions): string {
  const bodySize = Number.isFinite(maxFileBytes) ? maxFileBytes + ENVELOPE_BYTES : 0
  const body = `    client_max_body_size ${bodySize};
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_read_timeout 10m;
    proxy_send_timeout 10m;
    proxy_pass http://broker;`
  return `# The broker is asked before the body of an upload is read: its early refusal of a body that is on its way
# would reach the client as a 502.
location /files {
    include broker-identity.conf;
${NO_UPGRADE}
    auth_request /-/upload;
    auth_request_set $broker_refusal $upstream_status;
${REFUSAL_HEADERS.map((name) => `    auth_request_set ${refusalVariable(name)} $upstream_http_${snake(name)};`).join('\n')}
    error_page 401 403 500 = @refused;
    include broker-errors.conf;
${body}
}

# Resumable uploads. Nothing is asked first: the broker reads past a part that it refuses, so that its answer
# is not lost.
location /uploads {
    include broker-identity.conf;
${NO_UPGRADE}
${body}
}
`
}

function renderAsk({ publicUrl }: FrontOptions): string {
  const returns = REFUSAL_STATUSES.map(
    (status) =>
      `    if ($broker_refusal = ${status}) { return ${status} '<!--# include virtual="/-/upload" -->'; }`,
  )
  return `# The question of auth_request. Asked for PUT and POST only; others are let through without a question.
location = /-/upload {
    internal;
    if ($broker_asks = 0) { return 204; }
    include broker-identity.conf;
${NO_UPGRADE}
    proxy_set_header X-Original-Method $request_method;
    proxy_set_header X-Original-URI $request_uri;
    proxy_set_header X-Original-Length $content_length;
    proxy_set_header Content-Length "";
    proxy_pass_request_body off;
    # The size of the body that waits is checked in the location of the upload.
    client_max_body_size 0;
    proxy_pass http://broker/auth/upload;
}

# A refusal, with the status, the words and the headers of the broker. Another proxy_pass would first read the
# whole body that was refused; return discards it, and SSI asks again for the words.
location @refused {
    default_type application/problem+json;
    ssi on;
    ssi_types application/problem+json;
${OWN_HEADERS}
${REFUSAL_HEADERS.map((name) => `    add_header ${name} ${refusalVariable(name)} always;`).join('\n')}
${returns.join('\n')}
    ${renderReturn('UNAVAILABLE', 'the broker does not answer', publicUrl)}
}
`
}

function renderDownloads({ volumes, publicUrl }: FrontOptions): string {
  return `# Downloads: the broker decides and names a link that is never rewritten, Nginx sends it. The broker has
# answered conditions by then, except If-Range.
location ${SERVED_FROM} {
    internal;
    alias "${volumes}/";
    etag off;
    if_modified_since off;
    max_ranges 8;
    add_header Strict-Transport-Security $broker_transport_security;
${DOWNLOAD_HEADERS.map((name) => `    add_header ${name} $upstream_http_${snake(name)};`).join('\n')}
    error_page 403 404 = @gone;
    include broker-errors.conf;
}

# A link that is gone or cannot be read is no fault of the client; one that the broker did not name is not there.
location @gone {
    default_type application/problem+json;
${OWN_HEADERS}
    if ($upstream_http_x_accel_redirect = '') { ${renderReturn('NOT_FOUND', 'nothing is here', publicUrl)} }
    ${renderReturn('UNAVAILABLE', 'the file cannot be sent now', publicUrl)}
}
`
}

function refusalVariable(header: string): string {
  return `$broker_refusal_${snake(header)}`
}

function snake(header: string): string {
  return header.toLowerCase().replaceAll('-', '_')
}
