/** One metric as it is exposed. */
export interface ExposedMetric {
  readonly type: string
  readonly help: string
  readonly samples: { readonly name: string; readonly labels: string; readonly value: number }[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"'
const SAMPLE = new RegExp(
  `^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)?\\})? (-?(?:\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|Inf)|NaN|\\+Inf)$`,
)
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
}

/**
 * Reads the text format of Prometheus, version 0.0.4, and stops at whatever it does not allow: a sample without
 * its type, one series twice, buckets that do not add up.
 *
 * @throws {Error} with the line
 */
export function parsePrometheusText(text: string): ReadonlyMap<string, ExposedMetric> {
  if (!text.endsWith('\n')) throw new Error('the last line is not ended')
  const metrics = new Map<string, ExposedMetric>()
  const helps = new Map<string, string>()
  const series = new Set<string>()
  for (const line of text.split('\n')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (line === '') continue
    if (keyword === 'HELP') helps.set(name, rest)
    else if (keyword === 'TYPE') {
      const isKnown = Object.hasOwn(SUFFIXES, rest) && helps.has(name) && !metrics.has(name)
      if (!isKnown) throw new Error(line)
      metrics.set(name, { type: rest, help: helps.get(name) ?? '', samples: [] })
    } else {
      const [, sample = '', labels = '', value = ''] = SAMPLE.exec(line) ?? []
      const metric = ownerOf(sample, metrics)
      if (metric === undefined || series.has(`${sample}{${labels}}`)) throw new Error(line)
      series.add(`${sample}{${labels}}`)
      metric.samples.push({ name: sample, labels, value: Number(value.replace('Inf', 'Infinity')) })
    }
  }
  for (const [name, metric] of metrics) checkBuckets(name, metric)
  return metrics
}

function ownerOf(
  sample: string,
  metrics: ReadonlyMap<string, ExposedMetric>,
): ExposedMetric | undefined {
  for (const [name, metric] of metrics) {
    const suffixes = SUFFIXES[metric.type] ?? []
    if (suffixes.some((suffix) => name + suffix === sample)) return metric
  }
  return undefined
}

function checkBuckets(name: string, { type, samples }: ExposedMetric): void {
  if (type !== 'histogram') return
  const last = new Map<string, number>()
  for (const { name: sample, labels, value } of samples) {
    if (!sample.endsWith('_bucket')) continue
    const of = labels.replace(/(^|,)?le="[^"]*",?/, '')
    if (value < (last.get(of) ?? 0)) throw new Error(`${name}: buckets do not add up`)
    last.set(of, value)
  }
}
