import { ACTIONS, type Action } from '../../auth/principal.ts'
import type { CompiledRights, Decision } from '../../auth/rights/compiled-rights.ts'
import { PatternSet } from '../../auth/rights/pattern-set.ts'
import { UsersTable } from '../../auth/rights/users-table.ts'
import { parseFilePath } from '../../protocol/file-path.ts'
import { pathOfTopic } from '../../protocol/file-topic.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseTopic, type Topic } from '../../protocol/topic.ts'
import { parseTopicFilter } from '../../protocol/topic-filter.ts'
import { defineCommand } from '../command.ts'
import { EXIT_CODES } from '../exit-code.ts'
import { UsageError } from '../usage-error.ts'
import { readUsersFileOnDisk } from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'

const ANONYMOUS = 'anonymous'

export const check = defineCommand({
  usage: 'broker check USER ACTION [RESOURCE]',
  summary: 'Tells whether a user may do something by the users file, and which grant decides.',
  details: `ACTION is publish on a topic, subscribe on a topic or a filter, list, read, create, replace or delete on a path,
administer or observe without RESOURCE. USER may be anonymous. Exit code 0 is allowed, 3 denied.`,
  options: {
    json: { type: 'boolean', help: 'print {allowed, user, action, resource, grant}' },
    ...USERS_OPTION,
  },
  positionals: [2, 3],
  async run({ options, positionals }, terminal) {
    const [user = '', word = '', resource] = positionals
    const action = ACTIONS.find((one) => one === word)
    if (action === undefined) throw new UsageError(`ACTION is one of ${ACTIONS.join(', ')}`)
    const name = resourceOf(action, resource)
    const settings = await localSettings(options, terminal.env)
    const { users } = await readUsersFileOnDisk(settings.users)
    const rights = rightsOf(new UsersTable(users), user)
    const decision: FilterDecision =
      action === 'subscribe' ? decideFilter(rights, name) : rights.explain(action, name)
    const { allowed, grant = null, extent } = decision
    const answer = { allowed, user, action, resource: name ?? null, grant, extent }
    await terminal.output.line(options.json ? JSON.stringify(answer) : describeDecision(decision))
    return allowed ? EXIT_CODES.ok : EXIT_CODES.denied
  },
})

function rightsOf(table: UsersTable, user: string): CompiledRights {
  const rights = table.rightsOf(user)
  if (rights !== undefined) return rights
  if (user === ANONYMOUS) return table.anonymousRights
  throw new BrokerError('NOT_FOUND', `there is no user ${user}`)
}

/** What a subscription would be given: the events of the filter that the user may receive. */
interface FilterDecision extends Decision {
  readonly extent?: 'all' | 'some'
}

function decideFilter(rights: CompiledRights, filter = ''): FilterDecision {
  const topic = parseTopic(filter)
  if (topic.ok) return decideTopic(rights, topic.value)
  if (!rights.overlaps('subscribe', filter)) return { allowed: false }
  if (!rights.covers('subscribe', filter)) return { allowed: true, extent: 'some' }
  const grant = rights.grants.find(
    ({ effect, actions, pattern }) =>
      effect === 'allow' &&
      actions.includes('subscribe') &&
      new PatternSet([pattern]).covers(filter),
  )
  return { allowed: true, extent: 'all', ...(grant !== undefined && { grant }) }
}

/** Of a change of a file only who may list the file hears. */
function decideTopic(rights: CompiledRights, topic: Topic): Decision {
  const decision = rights.explain('subscribe', topic)
  const path = decision.allowed ? pathOfTopic(topic) : undefined
  const listing = path === undefined ? undefined : rights.explain('list', path)
  return listing?.allowed === false ? listing : decision
}

/** @throws {UsageError} when the resource is none that the action could be done on */
function resourceOf(action: Action, text: string | undefined): string | undefined {
  if (action === 'administer' || action === 'observe') {
    if (text !== undefined) throw new UsageError(`${action} is about the broker, not ${text}`)
    return undefined
  }
  const isTopic = action === 'publish' || action === 'subscribe'
  if (text === undefined) throw new UsageError(`${action} needs a ${isTopic ? 'topic' : 'path'}`)
  const parsed =
    action === 'subscribe'
      ? parseTopicFilter(text)
      : isTopic
        ? parseTopic(text)
        : parseFilePath(text)
  if (!parsed.ok) throw new UsageError(parsed.error)
  return parsed.value
}

export function describeDecision({ allowed, grant, extent }: FilterDecision): string {
  if (extent === 'all' && grant === undefined) return 'allowed: all that the filter stands for'
  if (extent === 'some') return 'allowed: that part of the filter which the grants allow'
  if (grant === undefined) return 'denied: no grant allows it'
  const { effect, actions, kind, pattern, source, line } = grant
  const about = kind === 'broker' ? '' : ` ${kind}="${pattern}"`
  const place = `${source.kind} ${source.name}, line ${line}`
  const verdict = allowed ? 'allowed' : 'denied'
  return `${verdict}: <${effect} actions="${actions.join(' ')}"${about}/> (${place})`
}
