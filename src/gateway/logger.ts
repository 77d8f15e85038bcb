import { type DestinationStream, type Logger, pino } from 'pino'
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
    gathered(),
  )
}

interface ByteSink {
  write(bytes: string | Buffer): unknown
  flushSync(): void
}

/**
 * A write for each request is a wake of another thread, which costs as much as a small answer. As bytes: of
 * text the library measures all that it has gathered with each line.
 */
function gathered(): DestinationStream {
  const options = { dest: 2, sync: false, minLength: 4096, periodicFlush: 50 }
  const sink: ByteSink = pino.destination({ ...options, contentMode: 'buffer' })
  const stream = {
    write: (line: string) => void sink.write(Buffer.from(line)),
    // Asked for by pino before the process ends of what it logs as fatal.
    flushSync: () => sink.flushSync(),
  }
  return stream
}
