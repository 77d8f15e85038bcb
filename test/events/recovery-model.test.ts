import { describe, test } from 'node:test'
import fc from 'fast-check'
import { anySchedule, play } from './recovery-schedule.ts'

const RUNS = Number(process.env['RUNS'] ?? (process.env['SOAK'] === undefined ? 150 : 5000))

describe('recovery', { concurrency: true }, () => {
  for (const log of ['memory', 'sqlite'] as const) {
    test(`over the ${log} log no client loses, repeats or reorders an event, or is not told`, () =>
      fc.assert(fc.asyncProperty(anySchedule(log), play), { numRuns: RUNS }))
  }
})
