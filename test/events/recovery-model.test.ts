import { describe, test } from 'node:test'
import fc from 'fast-check'
import { anySchedule, play } from './recovery-schedule.ts'

/** Schedules over each log: those over a file take ten times as long. */
const RUNS =
  process.env['SOAK'] === undefined ? { memory: 240, sqlite: 70 } : { memory: 7000, sqlite: 3000 }

describe('recovery', { concurrency: true }, () => {
  for (const log of ['memory', 'sqlite'] as const) {
    test(`over the ${log} log no client loses, repeats or reorders an event, or is not told`, () =>
      fc.assert(fc.asyncProperty(anySchedule(log), play), { numRuns: RUNS[log] }))
  }
})
