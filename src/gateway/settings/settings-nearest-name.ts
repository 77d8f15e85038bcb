/** The one of `names` that takes the fewest edits to get from `name`, or undefined when none is near. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  const limit = Math.max(2, Math.floor(name.length / 3))
  let best: { readonly name: string; readonly edits: number } | undefined
  for (const candidate of names) {
    if (Math.abs(candidate.length - name.length) > limit) continue
    const edits = editDistance(name, candidate)
    if (edits <= limit && edits < (best?.edits ?? Number.POSITIVE_INFINITY)) {
      best = { name: candidate, edits }
    }
  }
  return best?.name
}

/** Insertions, deletions and substitutions that turn `a` into `b` (Levenshtein). */
export function editDistance(a: string, b: string): number {
  const columns = [...b]
  let row = [0, ...columns.map((_, j) => j + 1)]
  for (const [i, left] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, right] of columns.entries()) {
      const substituted = (row[j] ?? 0) + (left === right ? 0 : 1)
      next.push(Math.min(substituted, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
