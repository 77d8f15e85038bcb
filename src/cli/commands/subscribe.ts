import { CLIENT_OPTIONS, openSession, wholeNumber } from '../client-options.ts'
import { defineCommand } from '../command.ts'

export const subscribe = defineCommand({
  usage: 'broker subscribe FILTER... [--since POSITION] [--count N]',
  summary: 'Prints events as they come, one CloudEvent in JSON a line.',
  details: `In a FILTER a segment may be * (any one segment) and the last one ** (all that follow).
A lost connection is resumed after the last event; a gap is told by an event of type EVENTS MISSED.
It runs until it is interrupted, or --count events are printed.`,
  options: {
    since: {
      type: 'string',
      value: 'POSITION',
      help: 'begin after this position, or earliest; default latest',
    },
    count: { type: 'string', short: 'n', value: 'N', help: 'end after N events' },
    ...CLIENT_OPTIONS,
  },
  positionals: [1, Number.POSITIVE_INFINITY],
  async run({ options, positionals }, terminal) {
    const count = wholeNumber('--count', options.count, 1) ?? Number.POSITIVE_INFINITY
    const { client, signal } = await openSession(options, terminal)
    const since = options.since ?? 'latest'
    await using subscription = client.events.subscribeText(positionals, { since, signal })
    let printed = 0
    for await (const event of subscription) {
      await terminal.output.line(event)
      printed += 1
      if (printed >= count) break
    }
    return 0
  },
})
