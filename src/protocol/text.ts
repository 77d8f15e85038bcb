const encoder = new TextEncoder()

/** Length of `text` in bytes of UTF-8. */
function utf8Length(text: string): number {
  return encoder.encode(text).length
}

/** True for more than `maxBytes` of UTF-8; short text is not encoded to tell: a code unit is at most 3 bytes. */
export function isLongerThan(text: string, maxBytes: number): boolean {
  if (text.length <= maxBytes / 3) return false
  return text.length > maxBytes || utf8Length(text) > maxBytes
}

/** True for C0, DEL and C1 control characters: they break lines, logs and terminals. */
export function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text)
}

/** True for characters that reorder what a reader sees (Unicode TR 9): `exe.gnp` shown as `png.exe`. */
export function hasBidirectionalControl(text: string): boolean {
  return /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(text)
}

/** What is wrong with `text` as any name of ours, or undefined: well-formed, in NFC, within `maxBytes`. */
export function nameFault(text: string, maxBytes: number): string | undefined {
  if (!text.isWellFormed()) return 'holds half a surrogate pair'
  if (isLongerThan(text, maxBytes)) return `longer than ${maxBytes} bytes`
  if (text.normalize('NFC') !== text) return 'not in Unicode normalisation form C'
  return undefined
}
