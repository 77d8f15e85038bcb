const CHUNK = 0x8000

/** Standard base64 with padding; runs where `Uint8Array.prototype.toBase64` does not exist yet. */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  // One call with all bytes as arguments would overflow the stack.
  for (let i = 0; i < bytes.length; i += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK))
  }
  return btoa(binary)
}

/** @returns undefined when `text` is not base64 */
export function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}
