// A subscription over /ws that survives restarts of the broker: it resumes after the last event it saw.
// Plain JavaScript for any browser, without a build and without dependencies.

/** Close codes after which coming back makes sense; see docs/protocol.md. */
const RECONNECTABLE = new Set([1001, 1006, 1012, 4429, 4508])

/**
 * @param {object} options
 * @param {string} options.url - of the broker, e.g. `ws://localhost:8080/ws`
 * @param {string} options.token
 * @param {string[]} options.filters - e.g. `['ci/**', 'files/**']`
 * @param {(event: object) => void} options.onEvent - CloudEvents, in order
 * @param {(state: string) => void} options.onState - `live`, `reconnecting`, or what is wrong
 * @returns {() => void} ends the subscription
 */
export function subscribe({ url, token, filters, onEvent, onState }) {
  let position = 'latest'
  let retryMs = 500
  let isEnded = false
  // A browser does not tell a page why its connection was refused.
  let broken = 'not let in: is the broker there, and the origin of this page among its --origins?'
  let problem = ''
  let socket

  function connect() {
    if (isEnded) return
    socket = new WebSocket(url, 'broker.v1.json')
    socket.onopen = () => {
      broken = 'reconnecting'
      problem = ''
      send({ op: 'auth', id: 'auth', token })
    }
    socket.onmessage = ({ data }) => receive(JSON.parse(data))
    socket.onclose = ({ code, reason }) => {
      if (isEnded) return
      if (!RECONNECTABLE.has(code)) return onState(`ended: ${reason || problem || code}`)
      onState(broken)
      setTimeout(connect, retryMs * (0.5 + Math.random()))
      retryMs = Math.min(retryMs * 2, 30_000)
    }
  }

  function receive(message) {
    if ('specversion' in message) onEvent(message)
    if (typeof message.position === 'string') position = message.position
    if (message.op === 'ok' && message.id === 'auth') {
      send({ op: 'subscribe', id: 'subscribe', filters, since: position })
    }
    if (message.op === 'ok' && message.id === 'subscribe') {
      retryMs = 500
      onState('live')
    }
    if (message.op === 'closing') retryMs = message.retryAfterMs
    if (message.op === 'error') {
      problem = message.problem.detail
      onState(problem)
    }
  }

  function send(command) {
    socket.send(JSON.stringify(command))
  }

  connect()
  return () => {
    isEnded = true
    socket.close()
  }
}
