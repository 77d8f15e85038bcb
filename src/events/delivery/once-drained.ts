/** The part of a socket or response that tells when its bytes are gone. */
export interface Drainable {
  readonly writableLength: number
  readonly destroyed: boolean
  once(event: 'drain' | 'close', listener: () => void): unknown
  off(event: 'drain' | 'close', listener: () => void): unknown
}

/** Calls back once, when `stream` has handed everything to the kernel or is closed. */
export function onceDrained(stream: Drainable, callback: () => void): void {
  if (stream.writableLength === 0 || stream.destroyed) {
    callback()
    return
  }
  const done = () => {
    stream.off('drain', done)
    stream.off('close', done)
    callback()
  }
  stream.once('drain', done)
  stream.once('close', done)
}
