import {
  MQTT_CONNACK,
  MQTT_PINGREQ,
  MQTT_PINGRESP,
  mqttConnect,
  mqttPublish,
} from './mqtt-packets.ts'
import { SocketPublisher } from './socket-publisher.ts'

let clients = 0

/** PUBLISH of quality of service 0 over TCP. */
export function openMqttPublisher(options: {
  readonly host: string
  readonly port: number
  readonly topic: string
}): Promise<SocketPublisher> {
  const { host, port, topic } = options
  clients += 1
  const hello = mqttConnect(`publisher-${clients}`)
  return SocketPublisher.open(
    { host, port, hello, welcome: MQTT_CONNACK },
    { wrap: (payload) => mqttPublish(topic, payload), ping: MQTT_PINGREQ, pong: MQTT_PINGRESP },
  )
}
