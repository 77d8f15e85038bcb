import { escapeHtml } from './escape-html.ts'
import { encodePath } from './file-target.ts'
import type { Listing, ListingEntry } from './listing.ts'

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.2rem; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 600; }
td, th { padding: .25rem .5rem; border-bottom: 1px solid #8884; }
td:first-child { overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }`

export interface PageLinks {
  /** What the names are relative to: `./` on the page of the directory itself. */
  readonly base: string
  /** The query of the next page. */
  readonly nextQuery: string | undefined
}

/** A listing for people. Names come from uploaders: everything is escaped, and there is no script. */
export function renderListingPage(listing: Listing, links: PageLinks): string {
  const title = escapeHtml(`/${listing.path}`)
  const up = listing.path === '' ? '' : row('../', `${links.base}../`, '', '')
  const rows = listing.entries.map((entry) => entryRow(entry, links.base)).join('\n')
  const next =
    links.nextQuery === undefined ? '' : `<p><a href="${escapeHtml(links.nextQuery)}">more</a></p>`
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>${STYLE}</style></head>
<body>
<h1>${title}</h1>
<table>
<thead><tr><th>Name</th><th class="number">Size</th><th class="number">Modified</th></tr></thead>
<tbody>
${up}
${rows}
</tbody>
</table>
${next}
</body>
</html>
`
}

function entryRow({ name, type, size, modified }: ListingEntry, base: string): string {
  const slash = type === 'directory' ? '/' : ''
  const bytes = size === null ? '' : size.toLocaleString('en')
  return row(name + slash, base + encodePath(name) + slash, bytes, modified ?? '')
}

function row(text: string, href: string, size: string, modified: string): string {
  return (
    `<tr><td><a href="${escapeHtml(href)}">${escapeHtml(text)}</a></td>` +
    `<td class="number">${size}</td><td class="number">${modified}</td></tr>`
  )
}
