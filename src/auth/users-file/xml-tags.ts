/** A tag of well-formed XML: `text.slice(start, end)`. */
export interface XmlTag {
  readonly start: number
  readonly end: number
  readonly kind: 'open' | 'close' | 'empty'
}

/** The tags of well-formed `text` in order, passing over comments and the declaration. */
export function* tagsOf(text: string, from = 0): Generator<XmlTag> {
  let start = text.indexOf('<', from)
  while (start !== -1) {
    const end = endOfMarkup(text, start)
    const isTag = text[start + 1] !== '!' && text[start + 1] !== '?'
    const kind = text[start + 1] === '/' ? 'close' : text[end - 2] === '/' ? 'empty' : 'open'
    if (isTag) yield { start, end, kind }
    start = text.indexOf('<', end)
  }
}

function endOfMarkup(text: string, start: number): number {
  if (text.startsWith('<!--', start)) {
    const close = text.indexOf('-->', start + 4)
    return close === -1 ? text.length : close + 3
  }
  const marks = /["'>]/g
  marks.lastIndex = start
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    if (mark[0] === '>') return marks.lastIndex
    const close = text.indexOf(mark[0], marks.lastIndex)
    if (close === -1) break
    marks.lastIndex = close + 1
  }
  return text.length
}
