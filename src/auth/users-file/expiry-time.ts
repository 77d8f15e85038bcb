// Years and zones as far as `xs:dateTime` has them, so that the schema for editors agrees.
const DATE_TIME =
  /^(?!0000)(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))$/

/**
 * Reads an RFC 3339 date-time with its zone, e.g. `2027-11-20T00:00:00Z`.
 *
 * @returns milliseconds since the epoch, or undefined when it is none; a day that the month does not have
 *   is none, though `Date.parse` would take it for one of the next month
 */
export function parseExpiryTime(text: string): number | undefined {
  const [, year, month, day] = DATE_TIME.exec(text) ?? []
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  const isDay = Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1
  if (!isDay || Number(day) > lastDay) return undefined
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : time
}
