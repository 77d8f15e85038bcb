import type { FastifyBaseLogger } from 'fastify'
import { createGateway, type Gateway } from './create-gateway.ts'
import { createLogger } from './logger.ts'
import type { Settings } from './settings/settings.ts'
import { UsageError } from './settings/settings-usage-error.ts'
import { startFault } from './start-fault.ts'
import { UsersFileRefused } from './users-in-force.ts'

/** How long clients are given to leave, one after the other. */
const DRAIN_WINDOW_MS = 2000

/** A drain that takes longer is cut short. */
const DRAIN_LIMIT_MS = 30_000

const PARENT_CHECK_MS = 500

/**
 * Runs the broker until a signal ends it: SIGTERM and SIGINT drain, a second one ends at once, SIGHUP reads
 * the users file and the schemas of contents again.
 *
 * @returns the exit code
 */
export async function serve(settings: Settings): Promise<number> {
  const log = createLogger(settings.logLevel)
  let gateway: Gateway
  try {
    gateway = await createGateway(settings, { log })
  } catch (error) {
    const detail = error instanceof UsersFileRefused ? { errors: error.faults } : { err: error }
    log.fatal({ event: 'broker.start', ...detail }, 'the broker did not start')
    process.stderr.write(`The broker did not start: ${startFault(error)}\n`)
    return error instanceof UsageError ? error.exitCode : 1
  }
  announce(gateway, settings, log)
  process.on('SIGHUP', () => {
    gateway.reload().catch((error: unknown) => {
      log.error({ event: 'broker.reload', err: error }, 'reload failed')
    })
  })
  const reason = await stopRequested()
  log.info({ event: 'broker.drain', reason }, 'draining')
  return end(gateway, log)
}

function announce(gateway: Gateway, settings: Settings, log: FastifyBaseLogger): void {
  const { url, adminTokenFile } = gateway
  log.info({ event: 'broker.start', url, data: settings.data }, 'broker is running')
  if (adminTokenFile !== undefined) {
    log.info({ event: 'broker.admin', file: adminTokenFile }, 'there is an administrator token')
  }
  process.stderr.write(`Data Broker on ${url}\n`)
  if (adminTokenFile !== undefined) {
    process.stderr.write(`The administrator token is in ${adminTokenFile}\n`)
  }
}

async function end(gateway: Gateway, log: FastifyBaseLogger): Promise<number> {
  const limit = setTimeout(() => process.exit(1), DRAIN_LIMIT_MS).unref()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))
  try {
    await gateway.drain(DRAIN_WINDOW_MS)
    log.info({ event: 'broker.stop' }, 'broker has stopped')
    return 0
  } catch (error) {
    log.error({ event: 'broker.stop', err: error }, 'the broker did not stop cleanly')
    return 1
  } finally {
    clearTimeout(limit)
  }
}

/** Resolves with what asks the broker to stop. */
function stopRequested(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
    // npm does not pass SIGTERM on: a broker that it started notices that npm is gone.
    if (process.env['npm_command'] === undefined) return
    const parent = process.ppid
    setInterval(() => {
      if (process.ppid !== parent) resolve('parent is gone')
    }, PARENT_CHECK_MS).unref()
  })
}
