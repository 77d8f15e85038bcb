/** What one check found: `warning` is for what works and may not for long, or not for everybody. */
export interface Finding {
  readonly check: string
  readonly verdict: 'ok' | 'warning' | 'problem'
  /** What is so. */
  readonly detail: string
  /** What to do about it. */
  readonly fix?: string
}

export type Verdict = Omit<Finding, 'check'>

export function ok(detail: string): Verdict {
  return { verdict: 'ok', detail }
}

export function warning(detail: string, fix: string): Verdict {
  return { verdict: 'warning', detail, fix }
}

export function problem(detail: string, fix: string): Verdict {
  return { verdict: 'problem', detail, fix }
}
