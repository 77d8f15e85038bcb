import type { FrontLimits, FrontOptions, FrontPassage, FrontTls } from './front-options.ts'

/** The file that Nginx is started with. Its paths are relative to the prefix. */
export function renderMain(options: FrontOptions): string {
  return [
    HEAD,
    renderProcess(options.user),
    `http {
${indent([LOGS, TEMPORARY, TIMES, renderVariables(options), renderServer(options)].join('\n'))}}
`,
    ...(options.zmq.length === 0 ? [] : [renderStream(options.zmq, options.limits)]),
  ].join('\n')
}

const HEAD = `# Nginx in front of the broker: HTTP, WebSocket, TCP for ZeroMQ, limits, downloads.
#
#   nginx -p DIR -c nginx.conf               start, as root or as any user
#   nginx -p DIR -c nginx.conf -s quit       stop
#
# DIR is the directory of this file. Written by: broker nginx --dir DIR

# The stream module is built in or apart. Each line loads it where a distribution has it apart (Debian,
# Fedora, Alpine) and finds nothing elsewhere: a pattern need not match. Debian's and Alpine's files name it
# relative to the prefix, hence the link "modules".
include /usr/share/nginx/modules-available/mod-stream.con[f];
include /usr/share/nginx/modules/mod-stream.con[f];
include /etc/nginx/modules/*stream.con[f];
`

function renderProcess(user: string | undefined): string {
  return `${user === undefined ? '' : `user ${user};\n`}worker_processes auto;
worker_rlimit_nofile 16384;
pid run/nginx.pid;
lock_file run/nginx.lock;
error_log run/error.log;

events {
    worker_connections 8192;
}
`
}

/** The target is logged without its query, which may hold a ticket; `$request_uri` would show it. */
const LOGS = `# One id from here to the event. The path without the query, which may hold a ticket.
log_format broker escape=json '{"time":"$time_iso8601","requestId":"$request_id",'
    '"address":"$remote_addr","method":"$request_method","path":"$broker_path","status":"$status",'
    '"bytes":"$bytes_sent","seconds":"$request_time","upstreamStatus":"$upstream_status",'
    '"upstreamSeconds":"$upstream_response_time"}';
access_log run/access.log broker;
`

const TEMPORARY = `client_body_temp_path run/client-body;
proxy_temp_path run/proxy;
fastcgi_temp_path run/fastcgi;
uwsgi_temp_path run/uwsgi;
scgi_temp_path run/scgi;
`

const TIMES = `server_tokens off;
sendfile on;
tcp_nopush on;
merge_slashes on;
reset_timedout_connection on;
client_header_timeout 15s;
client_body_timeout 60s;
send_timeout 60s;
keepalive_timeout 75s;
keepalive_requests 10000;
large_client_header_buffers 4 16k;
proxy_connect_timeout 5s;
proxy_socket_keepalive on;
proxy_headers_hash_max_size 1024;
proxy_headers_hash_bucket_size 128;
variables_hash_bucket_size 128;
`

/** A browser remembers it for the whole host: only where the front has no plain port that it would shut. */
const TRANSPORT_SECURITY = 'max-age=31536000'

function renderVariables({ http, limits }: FrontOptions): string {
  const { attemptsPerSecond, connections } = limits
  return `# Nothing but WebSocket is ever upgraded to.
map $http_upgrade $broker_upgrade { default ''; websocket websocket; }
map $http_upgrade $broker_connection { default ''; websocket upgrade; }
# HTTP/1.0 may have no Host.
map $http_host $broker_host { default $http_host; '' $host; }
# A target that Nginx cannot read is none to it, though it could read the line around it.
map $request_uri $broker_unread_target { default ''; '' $server_protocol; }
# Uploads are asked about first.
map $request_method $broker_asks { default 0; PUT 1; POST 1; }
# Kept from the first look on, so that an internal redirect does not change it.
map $uri $broker_path { default $uri; }
# Said over HTTPS by a front that serves nothing else.
map $https $broker_transport_security { default ''; on '${http === undefined ? TRANSPORT_SECURITY : ''}'; }
# Whoever opens a stream, and nobody else.
map $http_accept $broker_sse { default ''; text/event-stream $binary_remote_addr; }
map $http_upgrade $broker_stream { default $broker_sse; websocket $binary_remote_addr; }

limit_conn_zone $binary_remote_addr zone=broker_connections:10m;
limit_req_zone $binary_remote_addr zone=broker_attempts:10m rate=${attemptsPerSecond}r/s;
limit_req_zone $broker_stream zone=broker_streams:10m rate=${attemptsPerSecond}r/s;
limit_conn broker_connections ${connections};
limit_conn_status 429;
limit_req_status 429;
`
}

function renderServer({ upstream, http, https, nginxVersion }: FrontOptions): string {
  const plain = http === undefined ? '' : `    listen ${http} so_keepalive=on;\n`
  return `upstream broker {
    server ${upstream};
    keepalive 64;
}

server {
${plain}${https === undefined ? '' : renderTls(https, nginxVersion)}    server_name broker;
    set $broker_first_path $broker_path;
    # A location with a header of its own inherits none and says it again.
    add_header Strict-Transport-Security $broker_transport_security always;

    include broker-errors.conf;
    include broker-locations.conf;
}
`
}

/** The parameter of `listen` is warned of from 1.25.1 on, the directive unknown before. */
function hasHttp2Directive(nginxVersion: string | undefined): boolean {
  const [major = 0, minor = 0, patch = 0] = nginxVersion?.split('.').map(Number) ?? []
  return major * 1e6 + minor * 1e3 + patch >= 1_025_001
}

function renderTls(
  { listen, certificate, key, clientCa }: FrontTls,
  nginxVersion: string | undefined,
): string {
  const isDirective = hasHttp2Directive(nginxVersion)
  const clients =
    clientCa === undefined
      ? ''
      : `    # The broker decides which certificate is whose; here it need only be of these authorities.
    ssl_client_certificate "${clientCa}";
    ssl_verify_client optional;
    ssl_verify_depth 3;
`
  return `    listen ${listen} ssl ${isDirective ? '' : 'http2 '}so_keepalive=on;
${isDirective ? '    http2 on;\n' : ''}    ssl_certificate "${certificate}";
    ssl_certificate_key "${key}";
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:broker_tls:10m;
    ssl_session_timeout 1h;
    # A ticket would outlive the check of a client certificate.
    ssl_session_tickets off;
${clients}`
}

function renderStream(passages: readonly FrontPassage[], { zmqConnections }: FrontLimits): string {
  const servers = passages.map(
    ({ listen, upstream }) => `    server {
        listen ${listen} so_keepalive=on;
        proxy_pass ${upstream};
    }
`,
  )
  return `stream {
    log_format broker escape=json '{"time":"$time_iso8601","address":"$remote_addr",'
        '"port":"$server_port","status":"$status","received":"$bytes_received","bytes":"$bytes_sent",'
        '"seconds":"$session_time"}';
    access_log run/zmq.log broker;

    limit_conn_zone $binary_remote_addr zone=broker_zmq_connections:10m;
    limit_conn broker_zmq_connections ${zmqConnections};
    proxy_connect_timeout 5s;
    proxy_socket_keepalive on;
    # Heartbeats of ZeroMQ end what is dead; a peer that merely has nothing to say lives on.
    proxy_timeout 24h;

${servers.join('\n')}}
`
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '    ')
}
