import { MOST_BUSY_CORES } from './load-report.ts'
import { type Spread, spreadOf } from './percentiles.ts'

/** What one run of one contender measured. */
export interface Run {
  /** By name, e.g. `deliveries/s`; each contender of a line has the same. */
  readonly figures: Readonly<Record<string, number>>
  /** Of the busiest load generator. */
  readonly generatorCores: number
  /** Why the run proves nothing: something was lost, or out of order. */
  readonly fault?: string | undefined
}

export interface Contender {
  readonly name: string
  /** Undefined when the contender cannot be had here; its row says so. */
  run(): Promise<Run | undefined>
}

/** All runs of one contender: none of an absent one. Without one that counts there are no figures. */
export interface Rounds {
  readonly name: string
  readonly figures: Readonly<Record<string, Spread>>
  /** Of the first contender's figures to these, round by round; none of the first. */
  readonly ratios: Readonly<Record<string, Spread>>
  readonly voids: readonly string[]
  readonly count: number
  readonly runs: readonly Run[]
}

/**
 * Runs all contenders in turn, `rounds` times, so that what else the machine does meets all alike, and
 * compares them round by round.
 */
export async function interleave(
  contenders: readonly Contender[],
  rounds: number,
  tell: (line: string) => void,
): Promise<readonly Rounds[]> {
  const table: Run[][] = contenders.map(() => [])
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, contender] of contenders.entries()) {
      const run = await contender.run()
      if (run === undefined) continue
      table[index]?.push(run)
      tell(`${round + 1}/${rounds} ${contender.name}: ${describe(run)}`)
    }
  }
  const first = table[0] ?? []
  return contenders.map(({ name }, index) =>
    summary(name, table[index] ?? [], index > 0 ? first : []),
  )
}

function summary(name: string, runs: readonly Run[], first: readonly Run[]): Rounds {
  const valid = runs.filter((run) => voidReason(run) === undefined)
  const names = Object.keys(valid[0]?.figures ?? {})
  const spreads = (values: (figure: string) => readonly number[]) =>
    Object.fromEntries(
      names
        .map((figure) => [figure, values(figure)] as const)
        .filter(([, list]) => list.length > 0)
        .map(([figure, list]) => [figure, spreadOf(list)]),
    )
  return {
    name,
    figures: spreads((figure) => valid.map((run) => figureOf(run, figure))),
    ratios: spreads((figure) => ratios(first, runs, figure)),
    voids: runs.flatMap((run) => voidReason(run) ?? []),
    count: runs.length,
    runs,
  }
}

/** Of a figure of `base` to that of `other`, round by round; undefined when no round counts for both. */
export function ratioBetween(base: Rounds, other: Rounds, figure: string): Spread | undefined {
  const list = ratios(base.runs, other.runs, figure)
  return list.length === 0 ? undefined : spreadOf(list)
}

function ratios(bases: readonly Run[], others: readonly Run[], figure: string): readonly number[] {
  return others.flatMap((run, round) => {
    const base = bases[round]
    const isPair = base !== undefined && !voidReason(base) && !voidReason(run)
    return isPair ? [figureOf(base, figure) / figureOf(run, figure)] : []
  })
}

function figureOf({ figures }: Run, name: string): number {
  return figures[name] ?? Number.NaN
}

function voidReason({ fault, generatorCores }: Run): string | undefined {
  if (fault !== undefined) return fault
  if (generatorCores > MOST_BUSY_CORES) {
    return `a load generator used ${generatorCores.toFixed(2)} of a core`
  }
  return undefined
}

function describe(run: Run): string {
  const reason = voidReason(run)
  return [
    ...Object.entries(run.figures).map(([name, value]) => `${name} ${formatPlain(value)}`),
    `generator ${run.generatorCores.toFixed(2)} core`,
    ...(reason === undefined ? [] : [`VOID: ${reason}`]),
  ].join(', ')
}

function formatPlain(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}
