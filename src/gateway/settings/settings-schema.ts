import Type, { type Static } from 'typebox'

/**
 * Every setting: its default, its meaning, and which values a settings file may hold. The flags, the
 * environment variables, `broker config` and `docs/configuration.md` are derived from it.
 *
 * `unset` says what a setting without a default does; `placeholder` is the value in a usage line.
 */
export const SettingsFile = Type.Object(
  {
    listen: Type.String({
      default: '127.0.0.1:8080',
      placeholder: 'ADDRESS',
      description:
        'Where HTTP and WebSocket are served: `host:port`, or `unix:/path` for a socket of mode 0660.',
    }),
    data: Type.String({
      default: './data',
      placeholder: 'DIR',
      description:
        'Everything the broker writes: `<data>/files` is the default volume, `<data>/state` its own state.',
    }),
    users: Type.String({
      default: './config/broker_users.xml',
      placeholder: 'FILE',
      description: 'The users file. When it is missing, the shipped one is copied there.',
    }),
    zmqSubscribe: Type.Union([Type.String(), Type.Array(Type.String())], {
      default: 'tcp://127.0.0.1:5556',
      placeholder: 'URLS',
      description:
        'XPUB endpoints for plain SUB sockets, comma-separated, with `?security=plain|curve&filter=<filter>` (plain and `**` when left out); `off` for none.',
    }),
    zmqSession: Type.Union([Type.String(), Type.Array(Type.String())], {
      default: 'tcp://127.0.0.1:5557',
      placeholder: 'URLS',
      description:
        'ROUTER endpoints for REQ and DEALER sockets, comma-separated, with `?security=null|curve` (null when left out); `off` for none.',
    }),
    events: Type.String({
      default: 'sqlite:<data>/state/broker.db',
      placeholder: 'URL',
      description:
        'The event log: `sqlite:<path>`, or `memory:` for one that ends with the process.',
    }),
    files: Type.String({
      default: 'file:<data>/files',
      placeholder: 'URL',
      description: 'The default volume: `file:<path>`.',
    }),
    historyEvents: Type.Integer({
      default: 100_000,
      minimum: 1,
      placeholder: 'COUNT',
      description:
        'How many events the log keeps. The first of the three history limits to be reached counts; events under `files/` have a budget of their own of the same size. Of the rest, while it is over its budget, the oldest events of a user who holds more than half of it (by count or by bytes) go first, and the oldest of all when nobody does: who floods pushes out nobody else, and who publishes alone has the whole.',
    }),
    historyBytes: Type.String({
      default: '256MiB',
      placeholder: 'SIZE',
      description: 'How many bytes of events the log keeps.',
    }),
    historyAge: Type.String({
      default: '24h',
      placeholder: 'DURATION',
      description: 'How long the log keeps an event.',
    }),
    maxEvent: Type.String({
      default: '1MiB',
      placeholder: 'SIZE',
      description: 'Largest event, at most 16MiB.',
    }),
    publishRate: Type.String({
      default: 'unlimited',
      placeholder: 'COUNT',
      description:
        'Events a second that one user may publish, averaged, or `unlimited`. More are answered 429.',
    }),
    connectionsPerUser: Type.Integer({
      default: 20_000,
      minimum: 1,
      placeholder: 'COUNT',
      description: 'Open streams of one user, on all transports. More are answered 429.',
    }),
    connectionsPerAddress: Type.Integer({
      default: 20_000,
      minimum: 1,
      placeholder: 'COUNT',
      description: 'Open streams of one client address over HTTP and WebSocket.',
    }),
    maxFile: Type.String({
      default: 'unlimited',
      placeholder: 'SIZE',
      description: 'Largest file, or `unlimited`.',
    }),
    filePolicy: Type.Optional(
      Type.String({
        placeholder: 'FILE',
        unset: 'none',
        description:
          'The file with the rules by which files are looked after: limits and quotas, versions, deletes that can be undone, retention, checks of contents.',
      }),
    ),
    settle: Type.String({
      default: '500ms',
      placeholder: 'DURATION',
      description:
        'How long a file edited on disk must be quiet before it is told, at most 60s, which is also the longest wait.',
    }),
    proxy: Type.String({
      default: 'off',
      placeholder: 'PROXY',
      description:
        '`nginx`: trust identity and forwarded headers, and answer downloads with `X-Accel-Redirect`, but only for requests over a unix socket or with the secret in `X-Broker-Proxy`. `off`: trust nobody.',
    }),
    proxySecretFile: Type.Optional(
      Type.String({
        placeholder: 'FILE',
        unset: 'none',
        description:
          'The file whose content, without white space around it, is the secret that Nginx shows. Needed with `--proxy nginx` unless the broker listens on a unix socket.',
      }),
    ),
    origins: Type.Union([Type.String(), Type.Array(Type.String())], {
      default: 'same-origin',
      placeholder: 'ORIGINS',
      description:
        'Web origins that may use CORS and WebSockets beside the one of the broker itself, comma-separated, such as `https://dashboard.example`; `same-origin` for no other.',
    }),
    publicUrl: Type.Optional(
      Type.String({
        placeholder: 'URL',
        unset: 'from the request',
        description:
          'The address under which clients reach the broker, used in links and problems.',
      }),
    ),
    workers: Type.Integer({
      default: 0,
      minimum: 0,
      placeholder: 'COUNT',
      description:
        'Extra processes that hold the open streams; 0 is all in one process. One for each core that can be spared: for many subscribers and short delays.',
    }),
    logLevel: Type.String({
      default: 'info',
      placeholder: 'LEVEL',
      description:
        'The least severe lines logged: fatal, error, warn, info, debug, trace or silent.',
    }),
  },
  { additionalProperties: false },
)
export type SettingsFile = Static<typeof SettingsFile>

/** The name of a setting in a settings file, e.g. `historyEvents`. */
export type SettingKey = keyof SettingsFile

/** What the schema says of one setting. */
export interface SettingRow {
  readonly key: SettingKey
  /** e.g. `--history-events` */
  readonly flag: string
  /** e.g. `BROKER_HISTORY_EVENTS` */
  readonly variable: string
  /** The default as text, or undefined when there is none. */
  readonly fallback: string | undefined
  /** What happens without a value, of a setting that has no default. */
  readonly unset: string | undefined
  readonly placeholder: string
  readonly description: string
}

/** Every setting in the order of the schema. */
export const SETTING_ROWS: readonly SettingRow[] = Object.entries(SettingsFile.properties).map(
  ([key, schema]) => toRow(key as SettingKey, { ...schema }),
)

function toRow(key: SettingKey, schema: Readonly<Record<string, unknown>>): SettingRow {
  const words = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  return {
    key,
    flag: `--${words}`,
    variable: `BROKER_${words.replaceAll('-', '_').toUpperCase()}`,
    fallback: schema['default'] === undefined ? undefined : String(schema['default']),
    unset: schema['unset'] === undefined ? undefined : String(schema['unset']),
    placeholder: String(schema['placeholder']),
    description: String(schema['description']),
  }
}
