/**
 * Server frames of one unfragmented text message (RFC 6455 section 5.2): unmasked, FIN set.
 *
 *     0x81 | length < 126                      2 bytes
 *     0x81 | 126 | length as 16 bits           4 bytes
 *     0x81 | 127 | length as 64 bits          10 bytes
 */
const TEXT_FRAME = 0x81

export function frameHeaderBytes(length: number): number {
  if (length < 126) return 2
  return length < 65_536 ? 4 : 10
}

/** Writes the header of a text frame at `at`; returns the index after it. */
export function writeFrameHeader(target: Buffer, at: number, length: number): number {
  target[at] = TEXT_FRAME
  if (length < 126) {
    target[at + 1] = length
    return at + 2
  }
  if (length < 65_536) {
    target[at + 1] = 126
    return target.writeUInt16BE(length, at + 2)
  }
  target[at + 1] = 127
  return target.writeBigUInt64BE(BigInt(length), at + 2)
}
