import { createHash, randomBytes } from 'node:crypto'

/** Made again, byte by byte, wherever it is needed: nothing of the size of a file is kept. */
export interface LargeContent {
  /** Contents of different seeds differ in every block. */
  readonly seed: number
  /** A multiple of `BLOCK_BYTES`. */
  readonly bytes: number
}

export const BLOCK_BYTES = 1 << 20

const STAMP_BYTES = 16

/** The same in every block and every process. */
const FILL = Buffer.from(
  new Uint32Array((BLOCK_BYTES - STAMP_BYTES) / 4).map((_, index) => Math.imul(index, 2654435761))
    .buffer,
)

/** Tells the contents of one process from those of all others. */
const PROCESS = randomBytes(4).readUInt32BE()

/**
 * Each block is a stamp, which says where it belongs, and a filling that all share, so that sending costs no
 * copies.
 */
export function* piecesOf({ seed, bytes }: LargeContent): Generator<Buffer> {
  for (let block = 0; block < bytes / BLOCK_BYTES; block += 1) {
    const stamp = Buffer.alloc(STAMP_BYTES)
    stamp.writeUInt32BE(PROCESS)
    stamp.writeUInt32BE(seed, 4)
    stamp.writeUInt32BE(block, 8)
    yield stamp
    yield FILL
  }
}

/** In lower-case hex. */
export function sha256Of(content: LargeContent): string {
  const hash = createHash('sha256')
  for (const piece of piecesOf(content)) hash.update(piece)
  return hash.digest('hex')
}
