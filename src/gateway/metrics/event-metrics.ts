import type { Connections } from '../../events/delivery/connections.ts'
import type { Delivery } from '../../events/delivery/delivery.ts'
import { countsOf, sumOf } from '../../events/delivery/subscriber-counts.ts'
import type { EventLog } from '../../events/log/event-log.ts'
import type { PublishObserver } from '../../events/publish/publisher.ts'
import type { ZmqService } from '../../events/zmq/zmq-service.ts'
import type { WorkerPool } from '../workers/worker-pool.ts'
import type { Metrics } from './metrics.ts'

const PUBLISH_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2]

/** Counts what is published. */
export function observePublishes(metrics: Metrics): PublishObserver {
  const received = metrics.counter({
    name: 'databroker_events_received_total',
    help: 'Events that were published and committed, by the door they came through.',
    labels: ['transport'],
  })
  const duplicates = metrics.counter({
    name: 'databroker_events_duplicate_total',
    help: 'Events that were published again and delivered to nobody.',
    labels: ['transport'],
  })
  const rejected = metrics.counter({
    name: 'databroker_events_rejected_total',
    help: 'Publishes that were refused after they were read, by problem code.',
    labels: ['transport', 'reason'],
  })
  const seconds = metrics.histogram(
    {
      name: 'databroker_event_publish_seconds',
      help: 'From a publish to its commit.',
      labels: ['transport'],
    },
    PUBLISH_BUCKETS,
  )
  return {
    published: (transport, receipts, duration) => {
      const again = receipts.filter(({ duplicate }) => duplicate).length
      received.inc({ transport }, receipts.length - again)
      if (again > 0) duplicates.inc({ transport }, again)
      seconds.observe({ transport }, duration)
    },
    refused: (transport, reason) => rejected.inc({ transport, reason }),
  }
}

/** The log and who listens to it. */
export function showEvents(
  metrics: Metrics,
  parts: {
    readonly log: EventLog
    readonly delivery: Delivery
    readonly connections: Connections
    readonly workers: WorkerPool
  },
): void {
  const { log, delivery, connections } = parts
  const committed = metrics.counter({
    name: 'databroker_events_committed_total',
    help: 'Events that were given a position since the start, changes of files included.',
  })
  log.onCommit((events) => committed.inc(events.length))
  metrics.gauge(
    { name: 'databroker_log_last_offset', help: 'Offset of the newest event.' },
    (set) => set(log.head),
  )
  const families = ['family'] as const
  const kept = { name: 'databroker_log_events', help: 'Events that are kept.', labels: families }
  metrics.gauge(kept, (set) => {
    for (const [family, { events }] of Object.entries(log.history)) set(events, { family })
  })
  const bytes = { name: 'databroker_log_bytes', help: 'Bytes of kept events.', labels: families }
  metrics.gauge(bytes, (set) => {
    for (const [family, { bytes: size }] of Object.entries(log.history)) set(size, { family })
  })
  metrics.gauge({ name: 'databroker_connections', help: 'Open streams of events.' }, (set) =>
    set(connections.size),
  )
  showSubscribers(metrics, parts)
  showDelivery(metrics, delivery)
}

/** Of all processes; SUB sockets are not known. */
function showSubscribers(
  metrics: Metrics,
  { delivery, workers }: { readonly delivery: Delivery; readonly workers: WorkerPool },
): void {
  const gauges = [
    ['open', 'databroker_subscribers', 'Streams that are subscribed to something.'],
    ['queueBytes', 'databroker_subscriber_queue_bytes', 'Given to sockets and not yet taken.'],
  ] as const
  for (const [count, name, help] of gauges) {
    metrics.gauge({ name, help, labels: ['transport'] }, (set) => {
      const counts = sumOf([countsOf(delivery.subscribers), ...workers.subscribers])
      for (const [transport, of] of Object.entries(counts)) set(of[count], { transport })
    })
  }
}

function showDelivery(metrics: Metrics, { counters }: Delivery): void {
  const delivered = {
    name: 'databroker_events_delivered_total',
    help: 'Events that were sent, once for each stream; without SUB sockets.',
    labels: ['transport'],
  } as const
  metrics.total(delivered, (set) => {
    for (const [transport, count] of Object.entries(counters.counts.sent)) set(count, { transport })
  })
  const missed = {
    name: 'databroker_events_missed_total',
    help: 'Times a subscriber was told that events are missing, by reason.',
    labels: ['reason'],
  } as const
  metrics.total(missed, (set) => {
    for (const [reason, count] of Object.entries(counters.counts.missed)) set(count, { reason })
  })
  metrics.total(
    {
      name: 'databroker_slow_consumers_ended_total',
      help: 'Connections that were ended because they took too little for too long.',
    },
    (set) => set(counters.counts.slow),
  )
}

export function showZmq(metrics: Metrics, zmq: ZmqService): void {
  metrics.gauge({ name: 'databroker_zmq_peers', help: 'Peers of the session endpoints.' }, (set) =>
    set(zmq.peerCount),
  )
  const counters = [
    ['refusedConnections', 'connections_refused', 'Connections that were not let in.'],
    [
      'rebinds',
      'rebinds',
      'Subscribe endpoints bound anew: a right was lost, or too much subscribed to.',
    ],
    ['droppedEvents', 'events_dropped', 'Events that a subscribe endpoint could not send.'],
    ['failedCommands', 'commands_failed', 'Commands that were answered with a problem.'],
    ['refusedCommands', 'commands_refused', 'Commands that were refused unread.'],
    ['endedSubscriptions', 'subscriptions_ended', 'Peers whose subscriptions were ended.'],
    ['stalledPeers', 'peers_stalled', 'Peers that were given up because they took nothing.'],
  ] as const
  for (const [counter, name, help] of counters) {
    metrics.total({ name: `databroker_zmq_${name}_total`, help }, (set) =>
      set(zmq.counters[counter]),
    )
  }
}

export function showWorkers(metrics: Metrics, workers: WorkerPool): void {
  metrics.gauge({ name: 'databroker_workers', help: 'Processes that hold streams.' }, (set) =>
    set(workers.counts.running),
  )
  metrics.gauge(
    { name: 'databroker_worker_connections', help: 'Streams that workers hold.' },
    (set) => set(workers.counts.connections),
  )
  metrics.total(
    { name: 'databroker_workers_ended_total', help: 'Workers that ended unasked.' },
    (set) => set(workers.counts.ended),
  )
}
