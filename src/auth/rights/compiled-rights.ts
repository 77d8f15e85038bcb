import { patternsOverlap } from '../../protocol/segment-pattern.ts'
import type { Action, BrokerAction, FileAction, Rights, TopicAction } from '../principal.ts'
import type { Grant } from './grants.ts'
import { PatternSet } from './pattern-set.ts'

/** A decision and the grant that made it; without one, nothing allowed it. */
export interface Decision {
  readonly allowed: boolean
  readonly grant?: Grant
}

interface Rules {
  readonly isFile: boolean
  readonly allow: PatternSet
  readonly deny: PatternSet
}

/** The volume whose one file is the users file: whoever may write it may become anybody. */
const CONFIG_VOLUME = 'config'
const CONFIG_PATHS = `${CONFIG_VOLUME}/**`

const FILE_ACTIONS: readonly Action[] = ['list', 'read', 'create', 'replace', 'delete']
const PATTERN_ACTIONS = ['publish', 'subscribe', ...FILE_ACTIONS] as const

/**
 * The one decision point: every edge asks here. Pure: the answer depends on the grants and the arguments.
 *
 * The volume `config` stands apart. No file grant reaches a path in it; there every file action needs
 * `administer`. A file filter speaks of it only when its first segment is `config`, but `overlaps` is also
 * true for an administrator when `filter` reaches into it, so that a listing can lead there.
 */
export class CompiledRights implements Rights {
  readonly grants: readonly Grant[]
  readonly #rules: ReadonlyMap<Action, Rules>
  readonly #administer: boolean
  readonly #observe: boolean

  constructor(grants: readonly Grant[]) {
    this.grants = grants
    this.#rules = new Map(PATTERN_ACTIONS.map((action) => [action, rulesOf(grants, action)]))
    this.#administer = decideBroker(grants, 'administer').allowed
    this.#observe = decideBroker(grants, 'observe').allowed
  }

  may(action: TopicAction | FileAction, resource: string): boolean
  may(action: BrokerAction): boolean
  may(action: Action, resource?: string): boolean {
    if (action === 'administer') return this.#administer
    if (action === 'observe') return this.#observe
    const rules = this.#rules.get(action)
    if (rules === undefined || resource === undefined) return false
    if (rules.isFile && isInConfig(resource)) return this.#administer
    return rules.allow.matches(resource) && !rules.deny.matches(resource)
  }

  overlaps(action: TopicAction | FileAction, filter: string): boolean {
    const rules = this.#rules.get(action)
    if (rules === undefined) return false
    if (rules.isFile) {
      if (this.#administer && patternsOverlap(CONFIG_PATHS, filter)) return true
      if (isInConfig(filter)) return false
    }
    return rules.allow.overlaps(filter) && !rules.deny.covers(filter)
  }

  covers(action: TopicAction | FileAction, filter: string): boolean {
    const rules = this.#rules.get(action)
    if (rules === undefined) return false
    if (rules.isFile && isInConfig(filter)) return this.#administer
    return rules.allow.covers(filter) && !rules.deny.overlaps(filter)
  }

  /** The same decision as `may`, with the grant that made it: the first deny, else the first allow. */
  explain(action: Action, resource = ''): Decision {
    if (action === 'administer' || action === 'observe') return decideBroker(this.grants, action)
    if (isFileAction(action) && isInConfig(resource)) {
      return decideBroker(this.grants, 'administer')
    }
    return decide(this.grants, action, ({ pattern }) => new PatternSet([pattern]).matches(resource))
  }
}

function decideBroker(grants: readonly Grant[], action: Action): Decision {
  return decide(grants, action, () => true)
}

function decide(
  grants: readonly Grant[],
  action: Action,
  matches: (grant: Grant) => boolean,
): Decision {
  const about = grants.filter((grant) => grant.actions.includes(action) && matches(grant))
  const deny = about.find((grant) => grant.effect === 'deny')
  if (deny !== undefined) return { allowed: false, grant: deny }
  const [allow] = about
  return allow === undefined ? { allowed: false } : { allowed: true, grant: allow }
}

function rulesOf(grants: readonly Grant[], action: Action): Rules {
  const about = grants.filter((grant) => grant.actions.includes(action))
  // A grant inside `config` reaches nothing there; left in, it would seem to overlap `*/x`.
  const isFile = isFileAction(action)
  const reaching = isFile ? about.filter((grant) => !isInConfig(grant.pattern)) : about
  const patterns = (effect: Grant['effect']) =>
    reaching.filter((grant) => grant.effect === effect).map((grant) => grant.pattern)
  return {
    isFile,
    allow: new PatternSet(patterns('allow')),
    deny: new PatternSet(patterns('deny')),
  }
}

function isFileAction(action: Action): boolean {
  return FILE_ACTIONS.includes(action)
}

/** True for the path or filter `config` and all below it. */
function isInConfig(pathOrFilter: string): boolean {
  return pathOrFilter === CONFIG_VOLUME || pathOrFilter.startsWith(`${CONFIG_VOLUME}/`)
}
