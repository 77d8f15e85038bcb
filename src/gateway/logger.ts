import { type Logger, pino } from 'pino'
import { withoutTokens } from '../auth/credentials/tokens.ts'

/** JSON lines on stderr: data is for stdout. What could hold a secret is cut out by name. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: [
          'token',
          'password',
          'secret',
          'authorization',
          '*.token',
          '*.password',
          '*.secret',
          '*.authorization',
          '*.headers',
        ],
        censor: '[redacted]',
      },
      // Names that clients choose, such as paths, may hold one too.
      hooks: { streamWrite: withoutTokens },
    },
    // Gathered: a write for each request is a wake of another thread, which costs as much as a small answer.
    pino.destination({ dest: 2, sync: false, minLength: 4096, periodicFlush: 50 }),
  )
}
