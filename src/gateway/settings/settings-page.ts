import { SETTING_ROWS, type SettingRow } from './settings-schema.ts'
import { CONFIG_VARIABLE } from './settings-sources.ts'

/** The text of `docs/configuration.md`. */
export function configurationPage(): string {
  return `${[INTRODUCTION, table(), SECTIONS].join('\n\n')}\n`
}

const INTRODUCTION = `# Configuration

<!-- Written by \`node scripts/generate-configuration.ts\` from the schema in src/gateway. -->

Every setting has a flag, an environment variable and a key in the settings file. A flag wins over a
variable, a variable over the file, and the file over the default. \`broker config\` prints what is in
force. A name that nothing has is refused, with the nearest one there is; so is a value that is not
well formed. The command then ends with exit code 2.

The settings file is a JSON object, named by \`--config broker.json\` or \`${CONFIG_VARIABLE}\`. What
\`broker config --json\` prints is one.

    {
      "listen": "unix:/run/broker/http.sock",
      "data": "/srv/broker",
      "historyEvents": 1000000,
      "zmqSubscribe": ["tcp://127.0.0.1:5556", "tcp://0.0.0.0:5558?security=curve&filter=ci/**"],
      "proxy": "nginx"
    }`

const SECTIONS = `## Values

- **Paths** are relative to the directory in which the broker is started. \`<data>\` stands for the data
  directory in \`--events\` and \`--files\`.
- **Sizes** are bytes, or a number with \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\` (powers of 1,024) or \`KB\`, \`MB\`, \`GB\`,
  \`TB\` (powers of 1,000).
- **Durations** are a number with \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`.
- **Lists** are separated by commas; in the settings file they may be arrays. A comma within a filter is
  written \`%2C\`, a percent sign \`%25\`.
- An environment variable that is empty counts as not set.

## ZeroMQ endpoints

\`--zmq-subscribe\` and \`--zmq-session\` take URLs such as \`tcp://127.0.0.1:5556\`; \`*\` as the host is every
interface. \`security\` is the mechanism of the endpoint, one for each: \`plain\` (subscribe) and \`null\`
(session) carry tokens in clear text and are for the machine itself or a network that nobody else is on;
\`curve\` encrypts. \`filter\` is what a subscribe endpoint tells: who connects must be allowed to subscribe
to all of it.

## Behind Nginx

\`--proxy nginx\` makes the broker trust who Nginx says the client is. Over TCP anybody could say so;
therefore it also needs \`--listen unix:/path\`, or \`--proxy-secret-file\` with a secret that Nginx shows.
\`broker nginx --dir DIR\` writes the configuration of Nginx that belongs to the settings.

## How files are looked after

\`--file-policy\` names a JSON file. All of it may be left out; of several rules about a path the first one
that states something counts for it. Its limits are those of the default volume:

    {
      "freeSpace": "64MiB",
      "quota": "500GiB",
      "userQuota": "50GiB",
      "uploadsAtOnce": 256,
      "slowestUpload": "1KiB",
      "rules": [{ "paths": "releases/**", "conditional": true }]
    }

- **freeSpace**, 64MiB unless it says otherwise, stays free on the device, uploads under way counted as what
  they announce. 507.
- **quota** is of all files together, **userQuota** of those whose present content one user uploaded;
  anonymous uploads count together, what is put on disk for nobody. What an upload replaces is credited. An
  edit on disk is never refused: it only leaves less to uploads. 507.
- **uploadsAtOnce** bodies are received at the same time; more are 429.
- **slowestUpload** is how many bytes a second a sender must keep up, averaged over 10 seconds in which it
  was waited for. 408.
- **conditional**: a write or delete needs \`If-Match\`, \`If-None-Match\` or \`If-Unmodified-Since\`. 428.

## Other variables

Variables of the programs that talk to the broker begin with \`BROKER_\` too (\`BROKER_URL\`, \`BROKER_TOKEN\`
and the like). They are no settings, and the broker passes over them, as over those that Kubernetes sets
for a service named \`broker\`.`

function table(): string {
  const lines = SETTING_ROWS.map(
    (row) =>
      `| \`${row.flag}\`<br>\`${row.variable}\`<br>\`${row.key}\` | ${fallback(row)} | ${cell(row.description)} |`,
  )
  return ['| flag, variable, key | default | meaning |', '| --- | --- | --- |', ...lines].join('\n')
}

function fallback(row: SettingRow): string {
  return row.fallback === undefined ? (row.unset ?? '') : `\`${cell(row.fallback)}\``
}

/** A bar would end the cell, even within a code span. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
