import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { WebSocketIntake } from '../../src/events/websocket/websocket-intake.ts'

class FakeWebSocket extends EventEmitter {
  isPaused = false

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }
}

class FakeSocket extends EventEmitter {
  writableLength = 0
  destroyed = false
}

function fixture() {
  const webSocket = new FakeWebSocket()
  const socket = new FakeSocket()
  return { webSocket, socket, intake: new WebSocketIntake(webSocket, socket) }
}

test('a peer is not read while as many commands as may be are in work', () => {
  const { webSocket, intake } = fixture()
  const inWork = Array.from({ length: 1023 }, () => intake.admit(10))
  assert.equal(webSocket.isPaused, false)
  using last = intake.admit(10)
  assert.equal(webSocket.isPaused, true)
  inWork.pop()?.[Symbol.dispose]()
  assert.equal(webSocket.isPaused, false)
  assert.ok(last)
})

test('a few large commands are as many as may be', () => {
  const { webSocket, intake } = fixture()
  const inWork = Array.from({ length: 4 }, () => intake.admit(1024 * 1024))
  assert.equal(webSocket.isPaused, true)
  for (const each of inWork) each[Symbol.dispose]()
  assert.equal(webSocket.isPaused, false)
})

test('a peer that reads neither its replies nor its pongs is not read until it does', () => {
  for (const send of [
    ({ intake }: ReturnType<typeof fixture>) => intake.admit(10)[Symbol.dispose](),
    ({ webSocket }: ReturnType<typeof fixture>) => webSocket.emit('ping'),
  ]) {
    const each = fixture()
    send(each)
    assert.equal(each.webSocket.isPaused, false)
    each.socket.writableLength = 3 * 1024 * 1024
    send(each)
    send(each)
    assert.equal(each.webSocket.isPaused, true)
    assert.equal(each.socket.listenerCount('drain'), 1)
    each.socket.writableLength = 0
    each.socket.emit('drain')
    assert.equal(each.webSocket.isPaused, false)
  }
})
