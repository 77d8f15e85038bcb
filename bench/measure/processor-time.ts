import { readdirSync, readFileSync } from 'node:fs'

/** Linux tells processor time in ticks of 10 ms, whatever the kernel's own. */
const TICK_SECONDS = 0.01

/** Processor seconds that a process and everything it started have used up to now. */
export function processorSeconds(pid: number): number {
  let ticks: number
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    ticks = Number(fields[11]) + Number(fields[12])
  } catch {
    return 0
  }
  return childrenOf(pid).reduce((sum, child) => sum + processorSeconds(child), ticks * TICK_SECONDS)
}

/** Resident bytes of a process and everything it started. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const bytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
  return childrenOf(pid).reduce((sum, child) => sum + residentBytes(child), bytes)
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
        .split(' ')
        .filter(Boolean)
        .map(Number),
    )
  } catch {
    return []
  }
}
