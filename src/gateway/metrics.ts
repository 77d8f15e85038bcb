import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { EventLog } from '../events/log/event-log.ts'

export interface MetricsDeps {
  readonly version: string
  readonly log: EventLog
  connectionCount(): number
  versionUsage(): Promise<{ readonly count: number; readonly bytes: number }>
}

/** What `/metrics` shows. Names follow the conventions of Prometheus: base units, `_total` for counters. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #requests: Histogram<'method' | 'code'>

  constructor({ version, log, connectionCount, versionUsage }: MetricsDeps) {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    this.#requests = new Histogram({
      name: 'databroker_http_request_duration_seconds',
      help: 'From the request to the end of its response.',
      labelNames: ['method', 'code'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
      registers,
    })
    new Gauge({
      name: 'databroker_build_info',
      help: 'Constant 1.',
      labelNames: ['version'],
      registers,
    }).set({ version }, 1)
    const events = new Counter({
      name: 'databroker_events_committed_total',
      help: 'Events that were given a position since the start.',
      registers,
    })
    log.onCommit((committed) => events.inc(committed.length))
    new Gauge({
      name: 'databroker_log_last_offset',
      help: 'Offset of the newest event.',
      registers,
      collect() {
        this.set(log.head)
      },
    })
    new Gauge({
      name: 'databroker_connections',
      help: 'Open streams of events.',
      registers,
      collect() {
        this.set(connectionCount())
      },
    })
    new Gauge({
      name: 'databroker_file_versions',
      help: 'Former contents of files that are kept.',
      registers,
      async collect() {
        this.set((await versionUsage()).count)
      },
    })
    new Gauge({
      name: 'databroker_file_versions_bytes',
      help: 'Bytes of them.',
      registers,
      async collect() {
        this.set((await versionUsage()).bytes)
      },
    })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  observe(method: string, status: number, milliseconds: number): void {
    this.#requests.observe({ method, code: String(status) }, milliseconds / 1000)
  }

  render(): Promise<string> {
    return this.#registry.metrics()
  }
}
