import { dirname, join, relative, sep } from 'node:path'

/** What Nginx allows one address. More is answered with 429. */
export interface FrontLimits {
  /** Requests at once over HTTP; a stream is one for as long as it lasts. */
  readonly connections: number
  /** Streams and tickets asked for, in the long run. */
  readonly attemptsPerSecond: number
  /** The same at once, after a quiet time. */
  readonly attemptsBurst: number
  /** ZeroMQ connections at once. */
  readonly zmqConnections: number
}

export interface FrontTls {
  /** What `listen` says: `8443` or `127.0.0.1:8443`. */
  readonly listen: string
  /** Paths of PEM files. */
  readonly certificate: string
  readonly key: string
  /** The authorities of client certificates, when they are asked for. */
  readonly clientCa: string | undefined
}

/** A TCP port handed through to a ZeroMQ endpoint of the broker. */
export interface FrontPassage {
  readonly listen: string
  readonly upstream: string
}

/** What the configuration of Nginx is rendered from. No text holds a quote, a `$` or a control character. */
export interface FrontOptions {
  /** Where the broker serves HTTP: `127.0.0.1:8080` or `unix:/path`. */
  readonly upstream: string
  /** What `listen` says for plain HTTP, or undefined for none. */
  readonly http: string | undefined
  readonly https: FrontTls | undefined
  readonly zmq: readonly FrontPassage[]
  /** Where the broker keeps what downloads are served from, relative to the prefix or absolute. */
  readonly volumes: string
  /** What Nginx shows the broker in `X-Broker-Proxy`; empty for nothing. */
  readonly secret: string
  /** The version of the Nginx that it is for, e.g. `1.22.1`; undefined for any. */
  readonly nginxVersion: string | undefined
  /** The account of the workers when Nginx is started as root; undefined for its own default. */
  readonly user: string | undefined
  /** What `type` of a problem begins with; empty for a relative reference. */
  readonly publicUrl: string
  readonly maxFileBytes: number
  readonly maxEventBytes: number
  readonly limits: FrontLimits
}

/** Room for a wall of dashboards behind one address, and for what they do when the broker restarts. */
export const DEFAULT_LIMITS: FrontLimits = {
  connections: 1024,
  attemptsPerSecond: 50,
  attemptsBurst: 500,
  zmqConnections: 256,
}

/**
 * The directory that `X-Accel-Redirect` leads into, as seen from the prefix `dir`: relative while both
 * lie in one directory, so that a checkout can be moved.
 *
 * @param data - the data directory, absolute as `dir` is
 */
export function volumesDirectory(data: string, dir: string): string {
  const volumes = join(data, 'state/volumes')
  const parent = dirname(dir)
  return volumes.startsWith(parent + sep) ? relative(dir, volumes) : volumes
}
