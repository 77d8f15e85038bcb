import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Of the first segment of a URL; whatever else is asked for is `other`, so that nobody can add labels. */
const AREAS: ReadonlySet<string> = new Set([
  'events',
  'files',
  'uploads',
  'auth',
  'ws',
  'metrics',
  'readyz',
  'backup',
])

interface Description<Label extends string> {
  readonly name: string
  readonly help: string
  readonly labels?: readonly Label[]
}

/**
 * What `/metrics` shows. Names follow the conventions of Prometheus: base units, `_total` for counters. What
 * is counted elsewhere is read at the time of a scrape.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #requests: Histogram<'area' | 'method' | 'code'>

  constructor(version: string) {
    collectDefaultMetrics({ register: this.#registry })
    this.#requests = this.histogram(
      {
        name: 'databroker_http_request_duration_seconds',
        help: 'From the request to the end of its response.',
        labels: ['area', 'method', 'code'],
      },
      [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    )
    const build = {
      name: 'databroker_build_info',
      help: 'Constant 1.',
      labels: ['version'],
    } as const
    this.gauge(build, (set) => set(1, { version }))
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** @param target - the request target */
  observe(method: string, target: string, status: number, milliseconds: number): void {
    const [, segment = ''] = /^\/([^/?]*)/.exec(target) ?? []
    const area = AREAS.has(segment) ? segment : 'other'
    this.#requests.observe({ area, method, code: String(status) }, milliseconds / 1000)
  }

  counter<Label extends string>(description: Description<Label>): Counter<Label> {
    return new Counter(this.#configuration(description))
  }

  histogram<Label extends string>(
    description: Description<Label>,
    buckets: readonly number[],
  ): Histogram<Label> {
    return new Histogram({ ...this.#configuration(description), buckets: [...buckets] })
  }

  /** @param collect - sets the values of now, each with its labels */
  gauge<Label extends string>(
    description: Description<Label>,
    collect: (set: SetValue<Label>) => void | Promise<void>,
  ): void {
    new Gauge({
      ...this.#configuration(description),
      collect() {
        this.reset()
        return collect((value, of) => this.set(of ?? {}, value))
      },
    })
  }

  /** A counter that somebody else keeps. @param collect - gives its values of now */
  total<Label extends string>(
    description: Description<Label>,
    collect: (set: SetValue<Label>) => void,
  ): void {
    new Counter({
      ...this.#configuration(description),
      collect() {
        this.reset()
        collect((value, of) => this.inc(of ?? {}, value))
      },
    })
  }

  async render(): Promise<string> {
    const text = await this.#registry.metrics()
    // The library writes a not-a-number as no strict reader of the format takes it.
    return text.replaceAll(/ Nan$/gm, ' NaN')
  }

  #configuration<Label extends string>({ name, help, labels = [] }: Description<Label>) {
    return { name, help, labelNames: [...labels], registers: [this.#registry] }
  }
}

export type SetValue<Label extends string> = (
  value: number,
  of?: Readonly<Partial<Record<Label, string>>>,
) => void
