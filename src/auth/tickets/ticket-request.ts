import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { type FilePath, parseFilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { TICKET_PURPOSES, type TicketPurpose } from './ticket-claims.ts'

/** The body of `POST /auth/tickets`. */
export const TicketRequest = Type.Object(
  {
    purpose: Type.Enum([...TICKET_PURPOSES]),
    path: Type.Optional(
      Type.String({ description: 'The file of a download, as in its URL after /files/.' }),
    ),
  },
  { additionalProperties: false },
)

/** The answer of `POST /auth/tickets`. */
export const TicketAnswer = Type.Object({
  ticket: Type.String({ description: 'For ?ticket= of one request.' }),
  expires: Type.String({ format: 'date-time' }),
})

export type TicketAnswer = Static<typeof TicketAnswer>

const validator = Compile(TicketRequest)

/** What a ticket is wanted for. */
export interface WantedTicket {
  readonly purpose: TicketPurpose
  /** The file of a download. */
  readonly path?: FilePath
}

/** @throws {BrokerError} `REQUEST_INVALID`, `PATH_INVALID` */
export function parseTicketRequest(body: unknown): WantedTicket {
  if (!validator.Check(body)) {
    const purposes = TICKET_PURPOSES.join(', ')
    throw new BrokerError('REQUEST_INVALID', `a ticket needs a purpose, one of ${purposes}`)
  }
  const isDownload = body.purpose === 'download'
  if (isDownload !== (body.path !== undefined)) {
    throw new BrokerError('REQUEST_INVALID', 'a ticket of purpose download has a path, others none')
  }
  if (body.path === undefined) return { purpose: body.purpose }
  const path = parseFilePath(body.path)
  if (!path.ok) throw new BrokerError('PATH_INVALID', path.error)
  return { purpose: body.purpose, path: path.value }
}
