import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { accepts } from './ports.ts'
import { ServerProcess } from './server-process.ts'

const COMMAND = 'nginx'

/** The account of the workers: whoever runs the bench, so that they may read what it wrote. */
export const NGINX_USER = process.getuid?.() === 0 ? 'root' : undefined

/** Starts Nginx in the foreground with `directory` as its prefix; ready when `port` accepts. */
export async function startNginx(directory: string, port: number): Promise<ServerProcess> {
  await chmod(directory, 0o755)
  const nginx = await ServerProcess.start(directory, COMMAND, [
    ...['-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'],
  ])
  await nginx.ready(() => accepts(port))
  return nginx
}

/** Writes a configuration with the settings that the shipped one has where they tell on speed. */
export async function writeNginxConf(
  directory: string,
  { port, locations, upstream }: { port: number; locations: string; upstream?: string },
): Promise<void> {
  await mkdir(join(directory, 'run'), { recursive: true })
  const broker = upstream === undefined ? '' : `upstream app { server ${upstream}; keepalive 64; }`
  await writeFile(
    join(directory, 'nginx.conf'),
    `${NGINX_USER === undefined ? '' : `user ${NGINX_USER};`}
worker_processes auto;
pid run/nginx.pid;
error_log run/error.log;
events { worker_connections 8192; }
http {
  access_log run/access.log;
  client_body_temp_path run/client-body;
  proxy_temp_path run/proxy;
  fastcgi_temp_path run/fastcgi;
  uwsgi_temp_path run/uwsgi;
  scgi_temp_path run/scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 10000;
  ${broker}
  server {
    listen 127.0.0.1:${port};
    ${locations}
  }
}
`,
  )
}
