import assert from 'node:assert/strict'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { startGateway, type TestGateway, TOKENS, USERS_XML } from '../support/gateway.ts'
import { type ExposedMetric, parsePrometheusText } from '../support/prometheus-text.ts'
import { TestSocket } from '../support/test-socket.ts'

type Components = Readonly<Record<string, { readonly ready: boolean; readonly detail?: string }>>

async function readiness(broker: TestGateway): Promise<{ status: number; components: Components }> {
  const response = await broker.request('/readyz')
  const { components } = (await response.json()) as { components: Components }
  return { status: response.status, components }
}

async function scrape(broker: TestGateway): Promise<ReadonlyMap<string, ExposedMetric>> {
  const response = await broker.request('/metrics', { as: 'admin' })
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  return parsePrometheusText(await response.text())
}

function value(
  metrics: ReadonlyMap<string, ExposedMetric>,
  name: string,
  labels = '',
): number | undefined {
  return metrics.get(name)?.samples.find((sample) => sample.labels === labels)?.value
}

test('every part is named and ready', async () => {
  await using broker = await startGateway()
  const { status, components } = await readiness(broker)
  assert.equal(status, 200)
  const names = ['log', 'disk', 'files', 'watcher', 'hashing', 'users', 'zmq', 'workers', 'front']
  assert.deepEqual(Object.keys(components), names)
  assert.ok(Object.values(components).every(({ ready }) => ready))
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const [, section = ''] = /^## Readiness\n(.*?)^## /ms.exec(page) ?? []
  const rows = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
  assert.deepEqual(rows, names)
})

test('a volume that is gone makes the files not ready, by name', async () => {
  await using broker = await startGateway()
  await rename(join(broker.directory, 'data/files'), join(broker.directory, 'gone'))
  await mkdir(join(broker.directory, 'data/files'))
  await broker.request('/files/sync', { method: 'POST', as: 'admin' })
  let state = await readiness(broker)
  while (state.status === 200) state = await readiness(broker)
  assert.equal(state.status, 503)
  assert.deepEqual(state.components['files'], { ready: false, detail: 'the volume is offline' })
  assert.equal(state.components['log']?.ready, true)
})

test('a users file that was refused is told, until it is a good one again', async () => {
  await using broker = await startGateway()
  const users = join(broker.directory, 'config/broker_users.xml')
  await writeFile(users, '<broken')
  await broker.request('/files/sync', { method: 'POST', as: 'admin' })
  const { status, components } = await readiness(broker)
  assert.equal(status, 200)
  assert.match(components['users']?.detail ?? '', /refused/)
  await writeFile(users, USERS_XML)
  await broker.request('/files/sync', { method: 'POST', as: 'admin' })
  assert.deepEqual((await readiness(broker)).components['users'], { ready: true })
})

test('metrics parse strictly, are named by the conventions, and count what happened', async () => {
  await using broker = await startGateway({
    zmqSubscribe: 'tcp://127.0.0.1:0',
    zmqSession: 'tcp://127.0.0.1:0',
  })
  using socket = await TestSocket.open(`${broker.wsUrl}/events/ci/**`, { token: TOKENS.dashboard })
  const publish = () =>
    broker.request('/events/ci/jenkins/app', {
      method: 'POST',
      body: '{"n":1}',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'once' },
      as: 'jenkins',
    })
  await publish()
  await publish()
  await socket.wait((message) => 'specversion' in message)
  await broker.request('/files/a', { method: 'PUT', body: 'hello', as: 'admin' })
  await broker.request('/files/a', {
    method: 'PUT',
    body: 'x',
    headers: { 'x-broker-token': 'no' },
  })
  const metrics = await scrape(broker)
  assert.equal(value(metrics, 'databroker_events_received_total', 'transport="http"'), 1)
  assert.equal(value(metrics, 'databroker_events_duplicate_total', 'transport="http"'), 1)
  assert.equal(value(metrics, 'databroker_events_delivered_total', 'transport="websocket"'), 1)
  assert.equal(value(metrics, 'databroker_subscribers', 'transport="websocket"'), 1)
  assert.equal(value(metrics, 'databroker_upload_bytes_total'), 5)
  assert.equal(value(metrics, 'databroker_files_bytes'), 5 + USERS_XML.length)
  assert.equal(value(metrics, 'databroker_auth_failures_total', 'reason="CREDENTIAL_INVALID"'), 1)
  assert.equal(value(metrics, 'databroker_watch_state', 'state="watching"'), 1)
  for (const [name, { type }] of metrics) {
    if (!name.startsWith('databroker_')) continue
    assert.equal(name.endsWith('_total'), type === 'counter', name)
    assert.doesNotMatch(name, /_(?:ms|milliseconds|kb|mb)(?:_|$)/)
  }
})

test('what workers deliver is counted too', async () => {
  await using broker = await startGateway({ workers: '1' })
  using socket = await TestSocket.open(`${broker.wsUrl}/events/ci/**`, { token: TOKENS.dashboard })
  await broker.request('/events/ci/jenkins/a', { method: 'POST', body: '1', as: 'jenkins' })
  await socket.wait((message) => 'specversion' in message)
  let delivered: number | undefined
  while (delivered === undefined) {
    const metrics = await scrape(broker)
    delivered = value(metrics, 'databroker_events_delivered_total', 'transport="websocket"')
  }
  assert.equal(delivered, 1)
  assert.equal(value(await scrape(broker), 'databroker_worker_connections'), 1)
})

for (const workers of ['0', '2']) {
  test(`subscribers are counted while they are there, with ${workers} workers`, async () => {
    await using broker = await startGateway({ workers })
    const counts = async (...expected: readonly (number | undefined)[]) => {
      let found: readonly (number | undefined)[] = []
      while (!isDeepStrictEqual(found, expected)) {
        const metrics = await scrape(broker)
        const count = (transport: string) =>
          value(metrics, 'databroker_subscribers', `transport="${transport}"`)
        found = ['websocket', 'sse', 'ndjson'].map(count)
      }
    }
    const follow = async (accept: string, signal: AbortSignal) => {
      const url = `${broker.url}/events/ci/**`
      const headers = { accept, authorization: `Bearer ${TOKENS.dashboard}` }
      return (await fetch(url, { headers, signal })).status
    }
    await counts(undefined, undefined, undefined)
    const gone = new AbortController()
    assert.equal(await follow('text/event-stream', gone.signal), 200)
    assert.equal(await follow('application/x-ndjson', gone.signal), 200)
    // One that asks for nothing is no subscriber.
    using session = await TestSocket.open(`${broker.wsUrl}/ws`, { token: TOKENS.dashboard })
    {
      const url = `${broker.wsUrl}/events/ci/**`
      using _ = await TestSocket.open(url, { token: TOKENS.dashboard })
      await counts(1, 1, 1)
    }
    gone.abort()
    await counts(undefined, undefined, undefined)
    await session.ask({ op: 'subscribe', filter: 'ci/**' })
    await counts(1, undefined, undefined)
    await session.ask({ op: 'unsubscribe', filter: 'ci/**' })
    await counts(undefined, undefined, undefined)
  })
}

test('a path that nobody knows adds no label', async () => {
  await using broker = await startGateway()
  await broker.request('/no/such/path')
  const requests = (await scrape(broker)).get('databroker_http_request_duration_seconds')
  assert.ok(requests?.samples.some(({ labels }) => labels.includes('area="other"')))
  assert.ok(!requests?.samples.some(({ labels }) => labels.includes('such')))
})

const PACKAGING = new URL('../../packaging/', import.meta.url)

/** Words of an expression that name a metric of ours or of the process. */
function metricsIn(text: string): readonly string[] {
  return text.match(/\b(?:databroker|nodejs|process)_[a-z0-9_]+\b/g) ?? []
}

test('every metric of the dashboard and of the alerts is one that the broker shows', async () => {
  await using broker = await startGateway()
  const metrics = await scrape(broker)
  const isShown = (name: string) =>
    metrics.has(name) ||
    metrics.get(name.replace(/_(?:bucket|count|sum)$/, ''))?.type === 'histogram'
  const dashboard = JSON.parse(
    await readFile(new URL('grafana/data-broker.json', PACKAGING), 'utf8'),
  )
  const panels: { id: number; type: string; targets?: { expr: string }[] }[] = dashboard.panels
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const used = panels.flatMap(({ type, targets = [] }) => {
    const found = targets.flatMap(({ expr }) => metricsIn(expr))
    assert.equal(found.length > 0, type !== 'row')
    return found
  })
  const rules = await readFile(new URL('prometheus/data-broker.rules.yml', PACKAGING), 'utf8')
  const named = [...used, ...metricsIn(rules)]
  assert.deepEqual(
    named.filter((name) => !isShown(name)),
    [],
  )
  const shown = [...metrics.keys()].filter((name) => name.startsWith('databroker_'))
  const isUsed = (name: string) => named.some((one) => one.startsWith(name))
  assert.deepEqual(
    shown.filter((name) => !isUsed(name)),
    ['databroker_log_last_offset'],
  )
})
