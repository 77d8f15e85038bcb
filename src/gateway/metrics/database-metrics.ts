import { stat } from 'node:fs/promises'
import type { Database } from '../../database/database.ts'
import type { ServedGroup } from '../../database/groups-in-flight.ts'
import type { Metrics } from './metrics.ts'

const DATABASE_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 2]

/** Counts and times what the database serves. */
export function observeDatabase(metrics: Metrics): (group: ServedGroup) => void {
  const seconds = metrics.histogram(
    {
      name: 'databroker_database_seconds',
      help: 'How long the database was at work on what came together, syncing included.',
    },
    DATABASE_BUCKETS,
  )
  const requests = metrics.counter({
    name: 'databroker_database_requests_total',
    help: 'Commits and queries.',
  })
  const failures = metrics.counter({
    name: 'databroker_database_failures_total',
    help: 'Groups of commits and queries of which one failed.',
  })
  return (group) => {
    seconds.observe(group.seconds)
    requests.inc(group.requests)
    if (group.failure !== undefined) failures.inc()
  }
}

export function showDatabase(metrics: Metrics, database: Database, path: string): void {
  metrics.gauge(
    { name: 'databroker_database_waiting', help: 'Commits and queries not answered yet.' },
    (set) => set(database.waiting),
  )
  const bytes = {
    name: 'databroker_database_bytes',
    help: 'Size of the database and of its journal.',
    labels: ['file'],
  } as const
  metrics.gauge(bytes, async (set) => {
    for (const [file, suffix] of [
      ['database', ''],
      ['journal', '-wal'],
    ] as const) {
      const found = await stat(path + suffix).catch(() => undefined)
      if (found !== undefined) set(found.size, { file })
    }
  })
}
