import type { Sink, Transport } from './sink.ts'

/** Of one transport. */
export interface SubscriberCount {
  readonly open: number
  /** Accepted for them and not yet taken by the kernel. */
  readonly queueBytes: number
}

export type SubscriberCounts = Readonly<Partial<Record<Transport, SubscriberCount>>>

export function countsOf(sinks: Iterable<Sink>): SubscriberCounts {
  const single = ({ transport, backlogBytes: queueBytes }: Sink) =>
    transport === undefined ? {} : { [transport]: { open: 1, queueBytes } }
  return sumOf(Iterator.from(sinks).map(single))
}

export function sumOf(all: Iterable<SubscriberCounts>): SubscriberCounts {
  const sums: Partial<Record<Transport, SubscriberCount>> = {}
  for (const counts of all) {
    for (const [transport, count] of Object.entries(counts) as [Transport, SubscriberCount][]) {
      const { open, queueBytes } = sums[transport] ?? { open: 0, queueBytes: 0 }
      sums[transport] = { open: open + count.open, queueBytes: queueBytes + count.queueBytes }
    }
  }
  return sums
}
