import type { ChildProcess, SendHandle } from 'node:child_process'
import { Socket, type SocketConstructorOpts } from 'node:net'

/**
 * What lies below a socket. Sockets can be sent to a child process by a public function, but a server some of
 * whose sockets were sent waits at its close for children that have ended (Node 24), and a paused socket is
 * read from once more: one first message in a thousand was lost. The handle itself has neither fault.
 */
type Handle = SendHandle & { readStop?(): number }

/** A socket that was taken out of the hands of this process. */
export interface DetachedSocket {
  /** What had been read of it and was taken by nobody. */
  readonly early: Buffer
  /** Gives it to a child; it arrives with `message`. */
  sendTo(child: ChildProcess, message: object): void
}

/** Ends the reading of `socket`. @returns undefined when this version of Node has no such handle */
export function detachSocket(socket: Socket): DetachedSocket | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null }
  if (handle == null || typeof handle.readStop !== 'function') return undefined
  handle.readStop()
  return {
    early: (socket.read() as Buffer | null) ?? Buffer.alloc(0),
    sendTo: (child, message) => {
      // The child has a descriptor of its own by then: the connection stays open.
      child.send(message, handle, () => socket.destroy())
    },
  }
}

/** The socket of a handle that came from the parent; undefined when its client was gone before. */
export function attachSocket(handle: unknown): Socket | undefined {
  if (handle === undefined) return undefined
  return new Socket({ handle, readable: true, writable: true } as SocketConstructorOpts)
}
