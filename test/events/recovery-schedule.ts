import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Since } from '../../src/protocol/position.ts'
import { filters } from '../support/events.ts'
import { ModelBroker } from './recovery-broker.ts'
import { type Door, ModelClient } from './recovery-client.ts'
import { RIGHTS } from './recovery-permissions.ts'

/** What happens, as data: a failing schedule is printed whole. */
type Step =
  | { readonly do: 'publish'; readonly topics: readonly string[]; readonly identity?: string }
  | { readonly do: 'publish many'; readonly topics: readonly string[]; readonly count: number }
  | { readonly do: 'publish large'; readonly topic: string }
  | {
      readonly do: 'subscribe'
      readonly client: number
      readonly filters: readonly string[]
      readonly since: AskedSince
    }
  | { readonly do: 'connect' | 'drain'; readonly client: number }
  | { readonly do: 'drop'; readonly client: number; readonly read: number }
  | { readonly do: 'stall'; readonly client: number; readonly kib: number }
  | { readonly do: 'judge'; readonly client: number; readonly rights: number }
  | { readonly do: 'tick' }
  | { readonly do: 'restart'; readonly read: number }

type AskedSince =
  | 'latest'
  | 'earliest'
  | 'last'
  /** A position of some time, as a fraction of what was committed. */
  | { readonly stale: number }
  | { readonly epoch: string; readonly offset: number }

/** What passes before the next step. */
type Pause = 'nothing' | 'microtasks' | 'turn' | 'turns' | 'commit'

export interface Schedule {
  readonly log: 'memory' | 'sqlite'
  /** Events that are kept of each family. */
  readonly budget: number
  readonly clients: readonly {
    readonly door: Door
    readonly rights: number
    /** What it subscribes to before anything else happens. */
    readonly filters?: readonly string[]
  }[]
  readonly steps: readonly { readonly step: Step; readonly pause: Pause }[]
}

const MOST_CLIENTS = 40

const topic = fc.constantFrom('a', 'a/x', 'a/y', 'b', 'b/x/y', 'files/g', 'files/v/f', 'files/w/f')
const filter = fc.constantFrom(
  ...['**', '**', 'a', 'a/*', 'a/**', '*', '*/x', 'b/**', 'files/**', 'files/*', 'files/v/*'],
)
const topics = fc.array(topic, { minLength: 1, maxLength: 6 })
const client = fc.nat(MOST_CLIENTS - 1)
const rights = fc.nat(RIGHTS.length - 1)
const fraction = fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8)

const since: fc.Arbitrary<AskedSince> = fc.oneof(
  fc.constantFrom('latest', 'earliest', 'last'),
  fc.record({ stale: fraction }, { noNullPrototype: true }),
  fc.constantFrom({ epoch: 'zzz', offset: 3 }, { epoch: 'e1', offset: 1_000_000 }),
)

function weighted<Value>(
  weight: number,
  model: { [Key in keyof Value]: fc.Arbitrary<Value[Key]> },
) {
  return { weight, arbitrary: fc.record(model, { noNullPrototype: true }) }
}

/** @param most - events that are published at once */
function anyStep(most: number, weights: { readonly judge: number }): fc.Arbitrary<Step> {
  return fc.oneof(
    weighted(10, { do: fc.constant('publish' as const), topics }),
    weighted(3, {
      do: fc.constant('publish' as const),
      topics,
      identity: fc.constantFrom('i', 'j'),
    }),
    weighted(2, {
      do: fc.constant('publish many' as const),
      topics,
      count: fc.integer({ min: 30, max: most }),
    }),
    weighted(1, { do: fc.constant('publish large' as const), topic }),
    weighted(8, {
      do: fc.constant('subscribe' as const),
      client,
      filters: fc.uniqueArray(filter, { minLength: 1, maxLength: 3 }),
      since,
    }),
    weighted(5, { do: fc.constantFrom('connect' as const, 'drain' as const), client }),
    weighted(5, { do: fc.constant('drop' as const), client, read: fraction }),
    weighted(4, { do: fc.constant('stall' as const), client, kib: fc.constantFrom(700, 2000) }),
    weighted(weights.judge, { do: fc.constant('judge' as const), client, rights }),
    weighted(2, { do: fc.constant('tick' as const) }),
    weighted(1, { do: fc.constant('restart' as const), read: fraction }),
  )
}

const door = fc.constantFrom<Door>(
  'session',
  'session',
  'server-sent-events',
  'web-socket-stream',
  'lines',
  'page',
  'dealer',
)
const pause = fc.constantFrom<Pause>('nothing', 'nothing', 'microtasks', 'turn', 'turns', 'commit')

/** How many there are of what. */
interface Size {
  readonly clients: { readonly minLength: number; readonly maxLength: number }
  readonly client: fc.Arbitrary<Schedule['clients'][number]>
  readonly step: fc.Arbitrary<Step>
  readonly mostSteps: number
}

/** Most may everything. */
const mostlyAll = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, rights)

const FEW: Size = {
  clients: { minLength: 2, maxLength: 6 },
  client: fc.record({ door, rights: mostlyAll }, { noNullPrototype: true }),
  step: anyStep(1200, { judge: 1 }),
  mostSteps: 40,
}

/** Most of many ask for the same and are served together. */
const crowdFilters = fc.constantFrom(
  ...[['**'], ['**'], ['**'], ['a/**'], ['a/*', 'b/**'], ['files/**'], ['files/v/*', 'a']],
)

const MANY: Size = {
  clients: { minLength: 20, maxLength: MOST_CLIENTS },
  client: fc.record({ door, rights: mostlyAll, filters: crowdFilters }, { noNullPrototype: true }),
  step: anyStep(200, { judge: 4 }),
  mostSteps: 60,
}

/** Mostly of few clients, which are played and made smaller sooner. */
export function anySchedule(log: Schedule['log']): fc.Arbitrary<Schedule> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 9, arbitrary: scheduleOf(log, FEW) },
    { weight: 1, arbitrary: scheduleOf(log, MANY) },
  )
}

function scheduleOf(log: Schedule['log'], size: Size): fc.Arbitrary<Schedule> {
  const { clients, client, step, mostSteps } = size
  return fc.record(
    {
      log: fc.constant(log),
      budget: fc.constantFrom(3, 20, 200, 100_000),
      clients: fc.array(client, clients),
      steps: fc.array(fc.record({ step, pause }, { noNullPrototype: true }), {
        minLength: 3,
        maxLength: mostSteps,
        // Otherwise there are 16 at most.
        size: 'medium',
      }),
    },
    { noNullPrototype: true },
  )
}

/** Runs a schedule to a rest and judges every client. */
export async function play({ log, budget, clients, steps }: Schedule): Promise<void> {
  await using broker = await ModelBroker.open(log, budget)
  const models = clients.map(
    ({ door, rights }) => new ModelClient(broker.ledger, door, RIGHTS[rights] ?? fail()),
  )
  try {
    for (const [i, { filters: first }] of clients.entries()) {
      if (first) models[i]?.subscribe(broker.services, filters(...first), 'latest')
    }
    for (const { step, pause } of steps) {
      await take(step, broker, models)
      await pass(pause, broker)
      if (broker.ledger.faults.length > 0) throw broker.ledger.faults[0]
    }
    await rest(broker, models)
    if (broker.ledger.faults.length > 0) throw broker.ledger.faults[0]
    for (const model of models) model.check()
  } finally {
    for (const model of models) model.drop(0)
  }
}

async function take(step: Step, broker: ModelBroker, models: readonly ModelClient[]) {
  const chosen = 'client' in step ? models[step.client % models.length] : undefined
  switch (step.do) {
    case 'publish':
      broker.publish(step.topics, step.identity)
      break
    case 'publish many':
      broker.publish(
        Array.from({ length: step.count }, (_, i) => step.topics[i % step.topics.length] ?? ''),
      )
      break
    case 'publish large':
      broker.publish([step.topic], undefined, LARGE)
      break
    case 'subscribe':
      chosen?.subscribe(broker.services, filters(...step.filters), sinceOf(step.since, broker))
      break
    case 'connect':
      if (chosen?.hasInterests) chosen.connect(broker.services)
      break
    case 'drain':
      chosen?.drain()
      break
    case 'drop':
      chosen?.drop(step.read)
      break
    case 'stall':
      chosen?.stall(step.kib * 1024)
      break
    case 'judge':
      chosen?.judge(RIGHTS[step.rights] ?? fail())
      break
    case 'tick':
      for (const model of models) model.tick()
      break
    case 'restart':
      for (const model of models) model.drop(step.read)
      await broker.restart()
  }
}

const LARGE = 'x'.repeat(600_000)

function sinceOf(since: AskedSince, { ledger }: ModelBroker): Since | 'last' {
  if (typeof since === 'string' || 'epoch' in since) return since
  const { epoch } = ledger.moment()
  const { length } = ledger.events
  const event = ledger.events[Math.floor(since.stale * (length - 1))]
  return { epoch: event?.epoch ?? epoch, offset: event?.offset ?? 0 }
}

async function pass(pause: Pause, broker: ModelBroker): Promise<void> {
  if (pause === 'microtasks') for (let i = 0; i < 5; i += 1) await null
  if (pause === 'turn') await turn()
  if (pause === 'turns') for (let i = 0; i < 5; i += 1) await turn()
  if (pause === 'commit') await broker.committed()
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A schedule that has not come to rest by then is stuck. */
const STUCK_MS = 5000

/** Everybody is connected, takes what comes and is at the head. */
async function rest(broker: ModelBroker, models: readonly ModelClient[]): Promise<void> {
  await broker.committed()
  const { log } = broker.services
  const stuckAt = Date.now() + STUCK_MS
  for (;;) {
    const wanting = models.filter((model) => model.hasInterests)
    for (const model of wanting) {
      model.drain()
      if (!model.isConnected) model.connect(broker.services)
    }
    if (wanting.every((model) => model.isAt(log.head))) break
    if (broker.ledger.faults.length > 0) throw broker.ledger.faults[0]
    assert.ok(Date.now() < stuckAt, 'a stream is stuck')
    await turn()
  }
  for (const model of models) model.receive(1)
}

function fail(): never {
  throw new Error('no such rights')
}
