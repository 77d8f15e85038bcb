import { closeSync, openSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'

/** The descriptor by which this process can only read a file. */
export async function descriptorOf(file: string): Promise<number> {
  for (const descriptor of await readdir('/proc/self/fd')) {
    const target = await readlink(`/proc/self/fd/${descriptor}`).catch(() => undefined)
    if (target !== file) continue
    const info = await readFile(`/proc/self/fdinfo/${descriptor}`, 'utf8')
    if (/^flags:\s+\d*0$/m.test(info)) return Number(descriptor)
  }
  throw new Error(`${file} is not open`)
}

/** From here on a sync by that descriptor fails. */
export async function breakSyncOf(file: string): Promise<void> {
  const descriptor = await descriptorOf(file)
  closeSync(descriptor)
  // Its number is given to what cannot be synced, lest it be given to what can, and closed for somebody else.
  const others: number[] = []
  for (;;) {
    const next = openSync('/proc/self/status', 'r')
    if (next === descriptor) break
    others.push(next)
  }
  for (const other of others) closeSync(other)
}
