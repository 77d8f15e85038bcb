/**
 * The packets of MQTT 3.1.1 that the bench needs, as strings of one character per byte:
 *
 *     type and flags | remaining length, 7 bits a byte | ...
 */
export function mqttConnect(clientId: string): string {
  const keepAliveSeconds = '\x00\x00'
  return packet(0x10, `${field('MQTT')}\x04\x02${keepAliveSeconds}${field(clientId)}`)
}

/** The answer to a connect that is welcome. */
export const MQTT_CONNACK = '\x20\x02\x00\x00'

export function mqttSubscribe(topic: string): string {
  return packet(0x82, `\x00\x01${field(topic)}\x00`)
}

/** The answer to a subscribe: granted, at most once. */
export const MQTT_SUBACK = '\x90\x03\x00\x01\x00'

export const MQTT_PUBLISH = 0x30

/** At most once, like the others. */
export function mqttPublish(topic: string, payload: string): string {
  return packet(MQTT_PUBLISH, `${field(topic)}${payload}`)
}

export const MQTT_PINGREQ = '\xc0\x00'
export const MQTT_PINGRESP = '\xd0\x00'

function packet(first: number, rest: string): string {
  let length = ''
  for (let left = rest.length; ; left >>= 7) {
    length += String.fromCharCode(left > 127 ? (left & 127) | 128 : left)
    if (left <= 127) break
  }
  return String.fromCharCode(first) + length + rest
}

function field(text: string): string {
  return String.fromCharCode(text.length >> 8, text.length & 255) + text
}
