import { isRecord } from '../http/received-problem.ts'
import type { BrokerEvent } from './broker-event.ts'

/** What the broker sends on `/ws`, as far as a subscription needs it. */
export type ServerMessage =
  | { readonly kind: 'event'; readonly event: BrokerEvent }
  | { readonly kind: 'welcome'; readonly pingIntervalMs: number | undefined }
  | { readonly kind: 'ok'; readonly id: unknown; readonly position: string | undefined }
  | { readonly kind: 'error'; readonly id: unknown; readonly problem: unknown }
  | { readonly kind: 'position'; readonly position: string }
  | { readonly kind: 'expiring' }
  | {
      readonly kind: 'closing'
      readonly reason: string | undefined
      readonly retryAfterMs: number | undefined
    }

/** @returns undefined for what is not understood: a later broker may say more than this version knows */
export function parseServerMessage(text: string): ServerMessage | undefined {
  const message = parseJson(text)
  if (!isRecord(message)) return undefined
  if (isEvent(message)) return { kind: 'event', event: message }
  const position = textOf(message['position'])
  switch (message['op']) {
    case 'welcome':
      return { kind: 'welcome', pingIntervalMs: numberOf(message['pingIntervalMs']) }
    case 'ok':
      return { kind: 'ok', id: message['id'], position }
    case 'error':
      return { kind: 'error', id: message['id'], problem: message['problem'] }
    case 'position':
      return position === undefined ? undefined : { kind: 'position', position }
    case 'expiring':
      return { kind: 'expiring' }
    case 'closing':
      return {
        kind: 'closing',
        reason: textOf(message['reason']),
        retryAfterMs: numberOf(message['retryAfterMs']),
      }
    default:
      return undefined
  }
}

/** The broker has checked the rest of it. */
function isEvent(message: Readonly<Record<string, unknown>>): message is BrokerEvent {
  return message['specversion'] !== undefined && typeof message['position'] === 'string'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined
}
