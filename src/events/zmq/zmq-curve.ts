/** The long-term keys of a server, each 40 characters of Z85. @see ZeroMQ RFC 26 */
export interface CurveKeys {
  readonly publicKey: string
  readonly secretKey: string
}

const ALPHABET =
  '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'

/** The Z85 text of a key as the handshake presents it: 5 characters for 4 bytes. @see ZeroMQ RFC 32 */
export function z85Of(bytes: Buffer): string {
  let text = ''
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    let value = bytes.readUInt32BE(at)
    let group = ''
    for (let i = 0; i < 5; i += 1) {
      group = `${ALPHABET[value % 85]}${group}`
      value = Math.floor(value / 85)
    }
    text += group
  }
  return text
}
