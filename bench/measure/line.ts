import type { Section } from './report.ts'

export interface LineOptions {
  /** Fewer rounds and smaller ones: to see that it works, not for figures to show. */
  readonly isQuick: boolean
  tell(line: string): void
}

/** One line of the table: what is measured beside its peers. */
export interface Line {
  /** On the command line: `fan-out`. */
  readonly name: string
  /** Programs that are installed apart, each a package of Debian of the same name. */
  readonly needs: readonly string[]
  run(options: LineOptions): Promise<Section>
}
