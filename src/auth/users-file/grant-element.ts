import { ACTIONS, type Action } from '../principal.ts'
import { ElementReader, quotedName } from './element-reader.ts'
import { grantPatternFault } from './grant-pattern.ts'
import type { FaultList } from './users-fault.ts'
import type { GrantKind, GrantRule } from './users-file.ts'
import type { XmlElement } from './users-xml.ts'

/** The actions that fit each kind of grant. */
const ACTIONS_OF: Readonly<Record<GrantKind, readonly Action[]>> = {
  topics: ['publish', 'subscribe'],
  files: ['list', 'read', 'create', 'replace', 'delete'],
  broker: ['administer', 'observe'],
}

/** Reads `<allow>` and `<deny>`; undefined when a fault was reported. */
export function readGrant(element: XmlElement, faults: FaultList): GrantRule | undefined {
  const reader = new ElementReader(element, faults, {
    attributes: ['actions', 'topics', 'files'],
    children: [],
  })
  const topics = reader.optional('topics')
  const files = reader.optional('files')
  if (topics !== undefined && files !== undefined) {
    reader.fault('a grant has "topics" or "files", not both')
    return undefined
  }
  const kind = topics !== undefined ? 'topics' : files !== undefined ? 'files' : 'broker'
  const actions = readActions(reader, kind)
  const pattern = topics ?? files ?? ''
  const fault = kind === 'broker' ? undefined : grantPatternFault(kind, pattern)
  if (fault !== undefined) reader.fault(`"${kind}" is not a valid pattern: ${fault}`)
  if (actions === undefined || fault !== undefined) return undefined
  const effect = element.name === 'deny' ? 'deny' : 'allow'
  return { effect, actions, kind, pattern, line: element.line }
}

function readActions(reader: ElementReader, kind: GrantKind): readonly Action[] | undefined {
  const text = reader.required('actions')
  if (text === undefined) return undefined
  const words = reader.words('actions', text)
  if (words.length === 0) {
    reader.fault('"actions" is empty')
    return undefined
  }
  const actions: Action[] = []
  for (const word of words) {
    const action = ACTIONS.find((known) => known === word)
    if (action === undefined) reader.fault(`unknown action ${quotedName(word)}`)
    else if (ACTIONS_OF[kind].includes(action)) actions.push(action)
    else reader.fault(misplaced(action, kind))
  }
  return actions.length === words.length ? actions : undefined
}

function misplaced(action: Action, kind: GrantKind): string {
  if (kind !== 'broker') return `the action "${action}" does not go with "${kind}"`
  const wanted = ACTIONS_OF.topics.includes(action) ? 'topics' : 'files'
  return `the action "${action}" needs "${wanted}"`
}
