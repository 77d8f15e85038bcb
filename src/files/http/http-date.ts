const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = '(?<hour>\\d{2}):(?<minute>\\d{2}):(?<second>\\d{2})'
const SHORT_DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAY = '(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day'

/** The form that senders use, and the two obsolete ones, which a recipient must read all the same. */
const FORMS = [
  new RegExp(`^${SHORT_DAY}, (?<day>\\d{2}) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^${LONG_DAY}, (?<day>\\d{2})-${MONTH}-(?<year>\\d{2}) ${TIME} GMT$`),
  new RegExp(`^${SHORT_DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
]

/** A time as HTTP writes it; whole seconds. */
export function formatHttpDate(timeMs: number): string {
  return new Date(timeMs).toUTCString()
}

/**
 * Milliseconds since the epoch, or undefined for what is no date: a condition with it is ignored. To ignore
 * one of the obsolete forms would carry out a write that was meant to be conditional.
 *
 * @see RFC 9110 section 5.6.7
 */
export function parseHttpDate(text: string, nowMs: number = Date.now()): number | undefined {
  const fields = FORMS.map((form) => form.exec(text)?.groups).find((found) => found !== undefined)
  if (fields === undefined) return undefined
  const of = (name: string) => Number(fields[name])
  const month = MONTHS.indexOf(fields['month'] ?? '')
  const year = fields['year']?.length === 2 ? fullYear(of('year'), nowMs) : of('year')
  const date = new Date(0)
  // `Date.UTC` takes a year below 100 for one of the last century.
  date.setUTCFullYear(year, month, of('day'))
  date.setUTCHours(of('hour'), of('minute'), of('second'))
  // There is no 31 February and no hour 24; a second 60 cannot be told from the one after it.
  const isReal = date.getUTCDate() === of('day') && date.getUTCHours() === of('hour')
  return isReal && of('minute') < 60 && of('second') <= 60 ? date.getTime() : undefined
}

/** Two digits that would be more than 50 years ahead are of the century before. */
function fullYear(digits: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear()
  const year = thisYear - (thisYear % 100) + digits
  return year > thisYear + 50 ? year - 100 : year
}
