import { hasControlCharacter } from '../../protocol/text.ts'

/**
 * The rules of CloudEvents 1.0.2 for context attributes, as far as an intermediary must hold them.
 */

const INT32_MAX = 2_147_483_647

/** RFC 3339 section 5.6, with any number of fraction digits. */
const TIMESTAMP =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/

// What is wrong is looked for, not what is right: a repeated group overflows the stack of the matcher at
// some millions of characters.

/** What a URI-reference does not hold, RFC 3986 section 2. */
const NOT_URI_REFERENCE = /[^A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]|%(?![0-9A-Fa-f]{2})/

/** What base64 of a whole number of quanta does not hold. */
const NOT_BASE64 = /[^A-Za-z0-9+/=]|=(?!=?$)/

/** True for `[a-z0-9]+` and the one member with an underscore. `data` itself is no attribute. */
export function isAttributeName(name: string): boolean {
  return /^[a-z0-9]+$/.test(name) || name === 'data_base64'
}

/** What is wrong with the value of an attribute, to follow its name in a sentence; null is absent. */
export function attributeFault(name: string, value: unknown): string | undefined {
  if (name === 'op') return 'is reserved for commands'
  if (value === null && !(name === 'type' || name === 'specversion')) return undefined
  switch (name) {
    case 'specversion':
      return value === '1.0' ? undefined : 'is not 1.0'
    case 'id':
    case 'type':
    case 'subject':
      return isFilled(value) ? undefined : 'is not a string with at least one character'
    case 'source':
      return isUriReference(value) ? undefined : 'is not a URI-reference'
    case 'dataschema':
      return isUriReference(value) && /^[A-Za-z][A-Za-z0-9+.-]*:/.test(value)
        ? undefined
        : 'is not a URI'
    case 'datacontenttype':
      return isFilled(value) && /^[^\s/;]+\/[^\s/;]+\s*(;.*)?$/.test(value)
        ? undefined
        : 'is not a media type'
    case 'time':
      return typeof value === 'string' && TIMESTAMP.test(value)
        ? undefined
        : 'is not an RFC 3339 time'
    case 'data_base64':
      return isBase64(value) ? undefined : 'is not base64'
    default:
      return extensionFault(value)
  }
}

/** Strings of CloudEvents hold no control characters, noncharacters and half surrogate pairs. */
function isText(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.isWellFormed() &&
    !hasControlCharacter(value) &&
    !/\p{Noncharacter_Code_Point}/u.test(value)
  )
}

function isFilled(value: unknown): value is string {
  return isText(value) && value !== ''
}

function isUriReference(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !NOT_URI_REFERENCE.test(value)
}

function isBase64(value: unknown): boolean {
  return typeof value === 'string' && value.length % 4 === 0 && !NOT_BASE64.test(value)
}

function extensionFault(value: unknown): string | undefined {
  if (isText(value) || typeof value === 'boolean') return undefined
  if (Number.isInteger(value) && Math.abs(value as number) <= INT32_MAX) return undefined
  return 'is not a string, a boolean or a 32-bit integer'
}
