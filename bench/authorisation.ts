import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { FailureThrottle } from '../src/auth/credentials/failure-throttle.ts'
import { LastUses } from '../src/auth/credentials/last-uses.ts'
import { tokenHash } from '../src/auth/credentials/tokens.ts'
import { UsersTable } from '../src/auth/rights/users-table.ts'
import { UserDirectory } from '../src/auth/user-directory.ts'
import { readUsersFile } from '../src/auth/users-file/read-users-file.ts'
import { runWrk } from './load/wrk.ts'
import { contenderTable, formatDecimal, median, ratioOf, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { BENCH_USERS, CONSUMER, type RunningBroker, startBroker } from './servers/broker.ts'
import { removeDirectory, serverDirectory } from './servers/server-process.ts'

const USERS = 20_000
const GRANTS = 200
const CONNECTIONS = 64
const DECISIONS = 200_000

const NAMES = Array.from({ length: USERS }, (_, user) => `user-${user}`)
const TOKENS = NAMES.map((name) => `dbk_${name}-of-the-bench-00000000000000`)

export const authorisation: Line = {
  name: 'authorisation',
  needs: ['wrk'],
  async run({ isQuick, tell }) {
    const text = usersFile()
    const loading = await interleave([loadContender(text)], isQuick ? 1 : 5, tell)
    await using cleanup = new AsyncDisposableStack()
    const scratch = cleanup.adopt(await serverDirectory(), removeDirectory)
    const directory = await directoryOf(text, join(scratch, 'last-uses.json'))
    for (let user = 0; user < USERS; user += 1) directory.table.rightsOf(nameOf(user))
    const deciding = await interleave(
      [
        decisionContender('token to decision', (user, topic) =>
          directory.authenticate(tokenOf(user), '127.0.0.1').rights.may('publish', topic),
        ),
        decisionContender('decision alone', (user, topic) =>
          directory.table.rightsOf(nameOf(user))?.may('publish', topic),
        ),
        decisionContender('SHA-256 of the token alone', (user) => tokenHash(tokenOf(user)) !== ''),
      ],
      isQuick ? 1 : 5,
      tell,
    )
    const broker = await startBroker({ users: text })
    await using _ = broker.process
    const asking = [
      requestContender(broker, 'with a token', CONSUMER, isQuick ? 1 : 4),
      requestContender(broker, 'without (anonymous)', {}, isQuick ? 1 : 4),
    ]
    for (const contender of asking) await contender.run()
    return section(loading, deciding, await interleave(asking, isQuick ? 1 : 5, tell))
  },
}

function nameOf(user: number): string {
  return NAMES[user] ?? ''
}

function tokenOf(user: number): string {
  return TOKENS[user] ?? ''
}

/** A third of the grants are names, a third prefixes, a third have a `*`; each user has one of its own. */
function usersFile(): string {
  const patterns = Array.from({ length: GRANTS }, (_, i) =>
    i % 3 === 0 ? `area-${i}/state` : i % 3 === 1 ? `area-${i}/**` : `area-${i}/*/log`,
  )
  const grants = patterns.map((pattern) => `<allow actions="publish" topics="${pattern}"/>`)
  const users = Array.from({ length: USERS }, (_, user) => {
    const token = `<token id="u-${user}" sha256="${tokenHash(tokenOf(user))}"/>`
    const own = `<deny actions="publish" topics="area-1/${nameOf(user)}"/>`
    return `  <user name="${nameOf(user)}" roles="many">${token}${own}</user>`
  })
  const role = `  <role name="many">\n    ${grants.join('\n    ')}\n  </role>`
  return BENCH_USERS.replace('</broker-users>', `${role}\n${users.join('\n')}\n</broker-users>`)
}

async function tableOf(text: string): Promise<UsersTable> {
  const rules = { nowMs: Date.now(), hasAdminToken: true }
  const read = await readUsersFile(Buffer.from(text), rules)
  if (!read.ok) throw new Error(read.error[0]?.message)
  return new UsersTable(read.value)
}

async function directoryOf(text: string, path: string): Promise<UserDirectory> {
  const adminToken = { hash: () => undefined, onChange: () => {} }
  const throttle = new FailureThrottle({ now: Date.now })
  const lastUses = await LastUses.open({ path, now: Date.now, onFailure: () => {} })
  const deps = { adminToken, throttle, lastUses, now: Date.now }
  return new UserDirectory(await tableOf(text), deps)
}

function loadContender(text: string): Contender {
  return {
    name: `${USERS} users, ${(text.length / 1e6).toFixed(1)} MB`,
    run: async () => {
      const delays = monitorEventLoopDelay({ resolution: 1 })
      delays.enable()
      const start = performance.now()
      await tableOf(text)
      const ms = performance.now() - start
      // What blocked the loop last is told when it turns again.
      await delay(10)
      delays.disable()
      return { figures: { ms, 'loop ms': delays.max / 1e6 }, generatorCores: 0 }
    },
  }
}

function decisionContender(
  name: string,
  decide: (user: number, topic: string) => unknown,
): Contender {
  const topics = Array.from({ length: 1000 }, (_, i) => `area-${i % (GRANTS * 2)}/x${i % 7}/log`)
  return {
    name,
    run: async (): Promise<Run> => {
      const before = process.cpuUsage()
      for (let i = 0; i < DECISIONS; i += 1) {
        decide((i * 7919) % USERS, topics[i % topics.length] ?? '')
      }
      const { user, system } = process.cpuUsage(before)
      return { figures: { 'per second': DECISIONS / ((user + system) / 1e6) }, generatorCores: 0 }
    },
  }
}

function requestContender(
  { port, process }: RunningBroker,
  name: string,
  headers: Readonly<Record<string, string>>,
  seconds: number,
): Contender {
  return {
    name,
    run: async () => {
      const before = processorSeconds(process.pid)
      const size = { connections: CONNECTIONS, seconds, isUniform: true }
      const report = await runWrk({ port, method: 'GET', paths: ['/livez'], headers, ...size })
      const busy = processorSeconds(process.pid) - before
      return {
        figures: {
          'requests/s': report.requestsPerSecond,
          'us each': (busy / report.requests) * 1e6,
        },
        generatorCores: report.generatorCores,
        fault: report.fault,
      }
    },
  }
}

function section(
  loading: readonly Rounds[],
  deciding: readonly Rounds[],
  asking: readonly Rounds[],
): Section {
  return {
    title: 'Users, tokens and decisions',
    notes: [
      `A users file of ${USERS} users, each with a token and a grant of its own beside ${GRANTS} of a role. It is read on a ` +
        'thread: "loop" is the longest time for which the main thread did nothing else, making the table included.',
      `Decisions are of processor time, over all users in turn. The cost for a request is that of GET /livez, which decides ` +
        `nothing, by ${CONNECTIONS} connections that ask again when answered, with a token and without: processor time of the broker.`,
    ],
    tried: [
      'Rights of each user compiled by themselves: 145 us for a user, once, and 950 MB for all. What the roles give to all alike compiled once: 15 us and 47 MB.',
      'Patterns in lists, prefixes compared one by one: 2.0 us for a decision with 200 grants, 0.05 us with 2. A tree of segments: 0.12 and 0.07 us.',
      'Good logins remembered in order of use: 5.5 us for a login, half of it for the order. Two generations without order: 1.5 us.',
      'All users copied from the thread at once: the loop stood still for 86 ms. In slices of 1,000 when asked for: 14 ms.',
    ],
    tables: [
      contenderTable(loading, [
        spread('ms', formatDecimal, 'ms to be ready'),
        spread('loop ms', formatDecimal),
      ]),
      contenderTable(deciding, [
        spread('per second'),
        ratioOf(0, 'per second', 'token to decision : it'),
      ]),
      contenderTable(
        asking,
        [
          median('requests/s'),
          spread('us each', formatDecimal, 'us of processor each'),
          ratioOf(0, 'us each', 'with : without'),
        ],
        'GET /livez',
      ),
    ],
  }
}
