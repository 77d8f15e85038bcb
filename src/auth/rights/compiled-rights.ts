import { patternsOverlap } from '../../protocol/segment-pattern.ts'
import type { Action, BrokerAction, FileAction, Rights, TopicAction } from '../principal.ts'
import type { Grant } from './grants.ts'
import { PatternSet } from './pattern-set.ts'

/** A decision and the grant that made it; without one, nothing allowed it. */
export interface Decision {
  readonly allowed: boolean
  readonly grant?: Grant
}

/** Grants of one action, those of others left out. */
interface Rules {
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
  readonly #own: readonly Grant[]
  readonly #shared: CompiledRights | undefined
  /** By action, of the own grants and of the shared ones. */
  readonly #rules: ReadonlyMap<Action, readonly Rules[]>
  readonly #administer: boolean
  readonly #observe: boolean

  /** @param shared - compiled already: what many users have alike beside grants of their own */
  constructor(own: readonly Grant[], shared?: CompiledRights) {
    this.#own = own
    this.#shared = shared
    this.#rules = new Map(
      PATTERN_ACTIONS.map((action) => [
        action,
        [
          ...rulesOf(own, action),
          ...(shared === undefined ? [] : (shared.#rules.get(action) ?? [])),
        ],
      ]),
    )
    this.#administer = decideBroker(this.grants, 'administer').allowed
    this.#observe = decideBroker(this.grants, 'observe').allowed
  }

  get grants(): readonly Grant[] {
    return this.#shared === undefined ? this.#own : [...this.#shared.grants, ...this.#own]
  }

  may(action: TopicAction | FileAction, resource: string): boolean
  may(action: BrokerAction): boolean
  may(action: Action, resource?: string): boolean {
    if (action === 'administer') return this.#administer
    if (action === 'observe') return this.#observe
    if (resource === undefined) return false
    if (isFileAction(action) && isInConfig(resource)) return this.#administer
    const rules = this.#rulesOf(action)
    return (
      rules.some(({ allow }) => allow.matches(resource)) &&
      !rules.some(({ deny }) => deny.matches(resource))
    )
  }

  overlaps(action: TopicAction | FileAction, filter: string): boolean {
    if (isFileAction(action)) {
      if (this.#administer && patternsOverlap(CONFIG_PATHS, filter)) return true
      if (isInConfig(filter)) return false
    }
    const rules = this.#rulesOf(action)
    return (
      rules.some(({ allow }) => allow.overlaps(filter)) &&
      !rules.some(({ deny }) => deny.covers(filter))
    )
  }

  covers(action: TopicAction | FileAction, filter: string): boolean {
    if (isFileAction(action) && isInConfig(filter)) return this.#administer
    const rules = this.#rulesOf(action)
    return (
      rules.some(({ allow }) => allow.covers(filter)) &&
      !rules.some(({ deny }) => deny.overlaps(filter))
    )
  }

  /** The same decision as `may`, with the grant that made it: the first deny, else the first allow. */
  explain(action: Action, resource = ''): Decision {
    if (action === 'administer' || action === 'observe') return decideBroker(this.grants, action)
    if (isFileAction(action) && isInConfig(resource)) {
      return decideBroker(this.grants, 'administer')
    }
    return decide(this.grants, action, ({ pattern }) => new PatternSet([pattern]).matches(resource))
  }

  #rulesOf(action: Action): readonly Rules[] {
    return this.#rules.get(action) ?? []
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

/** None when no grant is about the action. */
function rulesOf(grants: readonly Grant[], action: Action): readonly Rules[] {
  const about = grants.filter((grant) => grant.actions.includes(action))
  // A grant inside `config` reaches nothing there; left in, it would seem to overlap `*/x`.
  const reaching = isFileAction(action)
    ? about.filter((grant) => !isInConfig(grant.pattern))
    : about
  if (reaching.length === 0) return []
  const patterns = (effect: Grant['effect']) =>
    reaching.filter((grant) => grant.effect === effect).map((grant) => grant.pattern)
  return [{ allow: new PatternSet(patterns('allow')), deny: new PatternSet(patterns('deny')) }]
}

function isFileAction(action: Action): boolean {
  return FILE_ACTIONS.includes(action)
}

/** True for the path or filter `config` and all below it. */
function isInConfig(pathOrFilter: string): boolean {
  return pathOrFilter === CONFIG_VOLUME || pathOrFilter.startsWith(`${CONFIG_VOLUME}/`)
}
