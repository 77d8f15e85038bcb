import { type Rounds, ratioBetween } from './interleaved.ts'
import type { Spread } from './percentiles.ts'
import type { Table } from './report.ts'

/** What a table shows of each contender. */
export interface Column {
  readonly head: string
  /** @param rounds - of all contenders of the table */
  cell(each: Rounds, rounds: readonly Rounds[]): string
}

/** What was measured in one place, e.g. with so many subscribers. */
export type Group = readonly [name: number | string, rounds: readonly Rounds[]]

type Format = (value: number) => string

/** A row for each contender: its name, below `head`, the columns, and how many of its runs count. */
export function contenderTable(
  rounds: readonly Rounds[],
  columns: readonly Column[],
  head = '',
): Table {
  const all = [{ head, cell: ({ name }: Rounds) => name }, ...columns, VALIDITY]
  return {
    head: all.map((column) => column.head),
    rows: rounds.map((each) => all.map((column) => column.cell(each, rounds))),
  }
}

/** The tables of all groups as one: their names are a first column below `head`. */
export function groupedTable(
  head: string,
  groups: readonly Group[],
  columns: readonly Column[],
): Table {
  return {
    head: [head, ...contenderTable([], columns).head],
    rows: groups.flatMap(([name, rounds]) =>
      contenderTable(rounds, columns).rows.map((row) => [String(name), ...row]),
    ),
  }
}

/** The median, and in parentheses what the runs lie between; `-` when none counts. */
export function spread(figure: string, format: Format = formatCount, head = figure): Column {
  return { head, cell: ({ figures }) => formatSpread(figures[figure], format) }
}

export function median(figure: string, format: Format = formatCount, head = figure): Column {
  return {
    head,
    cell: ({ figures }) => {
      const found = figures[figure]
      return found === undefined ? '-' : format(found.median)
    },
  }
}

/** Of the first contender's figure to the one of this row; empty in its own, `-` when no run counts. */
export function ratio(figure: string, head = 'broker : it'): Column {
  return {
    head,
    cell: ({ ratios, voids, count }) =>
      ratios[figure] === undefined && voids.length < count ? '' : formatRatio(ratios[figure]),
  }
}

/** Of the figure of the contender at `index` to the one of this row; empty when there is none. */
export function ratioOf(index: number, figure: string, head: string): Column {
  return { head, cell: (each, rounds) => ratioOrNothing(rounds[index], each, figure) }
}

/** Of the figure of this row to the one of the contender at `index`; empty when there is none. */
export function ratioTo(index: number, figure: string, head: string): Column {
  return { head, cell: (each, rounds) => ratioOrNothing(each, rounds[index], figure) }
}

/** How many of the runs count; which do not, and why, is said once. */
const VALIDITY: Column = {
  head: 'runs that count',
  cell: ({ voids, count }) => {
    if (count === 0) return 'not available'
    if (voids.length === 0) return `${count} of ${count}`
    const reasons = [...new Set(voids.map((reason) => reason.replaceAll(/\d[\d.]*/g, 'n')))]
    return `${count - voids.length} of ${count}: ${reasons.join('; ')}`
  },
}

export function formatDecimal(value: number): string {
  return value.toFixed(1)
}

/** `4.1 M`, `820 k`, `37`. */
function formatCount(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)} k`
  if (value >= 1e3) return `${(value / 1e3).toFixed(1)} k`
  return value >= 100 ? value.toFixed(0) : value.toPrecision(2)
}

function formatSpread(found: Spread | undefined, format: Format): string {
  if (found === undefined) return '-'
  return `${format(found.median)} (${format(found.least)} to ${format(found.most)})`
}

function formatRatio(found: Spread | undefined): string {
  return formatSpread(found, (value) => value.toFixed(2))
}

function ratioOrNothing(
  base: Rounds | undefined,
  other: Rounds | undefined,
  figure: string,
): string {
  if (base === undefined || other === undefined || base === other) return ''
  const found = ratioBetween(base, other, figure)
  return found === undefined ? '' : formatRatio(found)
}
