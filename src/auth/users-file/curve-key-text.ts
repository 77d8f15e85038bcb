const Z85 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'

/** True for the Z85 text of 32 bytes (ZeroMQ RFC 32): 40 characters, each group of 5 below 2^32. */
export function isCurveKeyText(text: string): boolean {
  if (text.length !== 40) return false
  for (let i = 0; i < text.length; i += 5) {
    let value = 0
    for (const character of text.slice(i, i + 5)) {
      const digit = Z85.indexOf(character)
      if (digit === -1) return false
      value = value * 85 + digit
    }
    if (value > 0xffffffff) return false
  }
  return true
}
