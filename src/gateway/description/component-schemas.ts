import type { TSchema } from 'typebox'
import { TicketAnswer, TicketRequest } from '../../auth/tickets/ticket-request.ts'
import { UsersAnswer } from '../../auth/users-answer.ts'
import { WhoAmI } from '../../auth/who-am-i.ts'
import { ExchangeAnswer, ExchangeRequest } from '../../auth/workload/exchange-request.ts'
import * as answers from './answer-schemas.ts'
import * as commands from './command-schemas.ts'
import * as events from './event-schemas.ts'

type Schemas = Readonly<Record<string, TSchema>>

/** `components.schemas` of the OpenAPI document. */
export const HTTP_SCHEMAS: Schemas = {
  ...answers,
  ...events,
  WhoAmI,
  UsersAnswer,
  TicketRequest,
  TicketAnswer,
  ExchangeRequest,
  ExchangeAnswer,
}

/** `components.schemas` of the AsyncAPI document. */
export const MESSAGE_SCHEMAS: Schemas = { ...answers, ...events, ...commands }
