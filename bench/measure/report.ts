/** One line of the bench: what it measured, in Markdown. */
export interface Section {
  readonly title: string
  /** What was done, how, and what to make of it; paragraphs. */
  readonly notes: readonly string[]
  readonly tables: readonly Table[]
  /** What was tried to come to these figures, and what came of it. */
  readonly tried?: readonly string[]
}

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export function markdownTable({ head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

export function markdownSection(
  { title, notes, tables, tried = [] }: Section,
  { command, date }: { readonly command: string; readonly date: string },
): string {
  return [
    `## ${title}`,
    `\`${command}\`, ${date}.`,
    ...notes,
    ...tables.map(markdownTable),
    ...(tried.length > 0 ? ['Tried on the way:', tried.map((each) => `- ${each}`).join('\n')] : []),
  ].join('\n\n')
}
