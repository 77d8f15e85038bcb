import { markdownTable } from './report.ts'

/** Name and value, in the order in which they are shown. */
export type Facts = readonly (readonly [name: string, value: string])[]

const HEAD = `# Benchmarks

What the broker does beside its peers, measured in one run on one machine. Written by \`npm run bench\`;
\`npm run bench -- <line>\` measures one line again and replaces its section.

How to read it: all contenders of a line run in turn, several times over. A ratio is the median of the ratios
within a round, with the least and the most in parentheses. Load generators are processes of their own;
they check that everything was delivered, and a run in which one of them used more than 80% of a core, or
something was missing or out of order, is void and does not count; what this version cannot do is not
available. Contenders and load generators share the cores of the machine: compare rows, not pages.

Needs Linux and, from Debian's packages, \`nats-server\`, \`mosquitto\`, \`nginx\` and \`wrk\`.`

/** Puts a section into the page: in the place of the one with the same title, else at the end. */
export function mergePage(page: string, section: string, facts: Facts): string {
  const others = page.split(/^(?=## )/m).filter((part) => part.startsWith('## '))
  const title = titleOf(section)
  const isKnown = others.some((part) => titleOf(part) === title)
  const sections = isKnown
    ? others.map((part) => (titleOf(part) === title ? section : part))
    : [...others, section]
  const machine = markdownTable({ head: ['', ''], rows: facts })
  return `${[HEAD, machine, ...sections].map((part) => part.trim()).join('\n\n')}\n`
}

function titleOf(section: string): string {
  return section.split('\n', 1)[0] ?? ''
}
