import { type Rounds, ratioBetween } from './interleaved.ts'
import type { Spread } from './percentiles.ts'

/** One line of the bench: what it measured, in Markdown. */
export interface Section {
  readonly title: string
  /** What was done, how, and what to make of it; paragraphs. */
  readonly notes: readonly string[]
  readonly tables: readonly Table[]
  /** What was tried to come to these figures, and what came of it. */
  readonly tried?: readonly string[]
}

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export function markdownTable({ head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

export function markdownSection(
  { title, notes, tables, tried = [] }: Section,
  { command, date }: { readonly command: string; readonly date: string },
): string {
  return [
    `## ${title}`,
    `\`${command}\`, ${date}.`,
    ...notes,
    ...tables.map(markdownTable),
    ...(tried.length > 0 ? ['Tried on the way:', tried.map((each) => `- ${each}`).join('\n')] : []),
  ].join('\n\n')
}

/** `4.1 M`, `820 k`, `37`. */
export function formatCount(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)} k`
  if (value >= 1e3) return `${(value / 1e3).toFixed(1)} k`
  return value >= 100 ? value.toFixed(0) : value.toPrecision(2)
}

/** The median, and in parentheses what the runs lie between; `-` when none counts. */
export function formatSpread(
  spread: Spread | undefined,
  format: (value: number) => string = formatCount,
): string {
  if (spread === undefined) return '-'
  return `${format(spread.median)} (${format(spread.least)} to ${format(spread.most)})`
}

export function formatMedian(
  spread: Spread | undefined,
  format: (value: number) => string = formatCount,
): string {
  return spread === undefined ? '-' : format(spread.median)
}

/** Of the broker's figure to the one of this row; empty in the broker's own. */
export function formatRatio({ ratios, voids, count }: Rounds, figure: string): string {
  const ratio = ratios[figure]
  if (ratio === undefined) return voids.length === count ? '-' : ''
  return formatSpread(ratio, (value) => value.toFixed(2))
}

/** Of the figure of `base` to the one of this row; empty in its own, and when there is none. */
export function formatRatioTo(
  base: Rounds | undefined,
  each: Rounds | undefined,
  figure: string,
): string {
  if (base === undefined || each === undefined || base === each) return ''
  const ratio = ratioBetween(base, each, figure)
  return ratio === undefined ? '' : formatSpread(ratio, (value) => value.toFixed(2))
}

/** How many of the runs count; which do not, and why, is said once. */
export function formatValidity({ voids, count }: Rounds): string {
  if (count === 0) return 'not available'
  if (voids.length === 0) return `${count} of ${count}`
  const reasons = [...new Set(voids.map((reason) => reason.replaceAll(/\d[\d.]*/g, 'n')))]
  return `${count - voids.length} of ${count}: ${reasons.join('; ')}`
}

export function formatDecimal(value: number): string {
  return value.toFixed(1)
}
