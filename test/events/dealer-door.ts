import { Dealer } from 'zeromq'
import type { OpenDoor } from './recovery-doors.ts'

const PING_MS = 5000

/** A DEALER that subscribes and, like any other door, is over when its connection is. */
export function dealerDoor(endpoint: string): OpenDoor {
  return ({ token, filter }, since, take) => {
    const socket = new Dealer({ linger: 0, reconnectInterval: -1 })
    // ZeroMQ would connect again by itself, and the subscription be gone.
    socket.events.on('disconnect', () => socket.close())
    socket.connect(endpoint)
    const ping = setInterval(() => socket.send('PING').catch(() => {}), PING_MS)
    const read = async (): Promise<void> => {
      try {
        await socket.send(['SUBSCRIBE', token, filter, since])
        for await (const [verb, , event] of socket) {
          if (String(verb) === 'ERROR') throw new Error('the subscription was refused')
          if (String(verb) !== 'EVENT' || event === undefined) continue
          const parsed = JSON.parse(event.toString())
          take({ event: parsed, position: parsed.position })
        }
      } catch {
        // It was closed while something was under way.
      } finally {
        clearInterval(ping)
        if (!socket.closed) socket.close()
      }
    }
    return { closed: read(), close: () => !socket.closed && socket.close() }
  }
}
