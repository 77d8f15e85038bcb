import { LineTable } from './line-table.ts'
import type { XmlElement } from './users-xml.ts'
import { tagsOf } from './xml-tags.ts'

/** Edits of a well-formed text that leave everything else in it as it is: comments, order, layout. */

/**
 * Puts `child` into `parent` on a line of its own, indented as what stands there.
 *
 * @param after - the child that it comes after; without one it comes first
 */
export function insertChild(
  text: string,
  parent: XmlElement,
  child: string,
  after: XmlElement | undefined,
): string {
  const start = offsetIn(text, parent)
  const [open] = tagsOf(text, start)
  if (open === undefined) throw new Error('a parsed element has no tag')
  const newLine = /\r\n|\r|\n/.exec(text)?.[0] ?? '\n'
  const indent = /[ \t]*$/.exec(text.slice(0, start))?.[0] ?? ''
  const inner = newLine + (indentOf(text, after) ?? `${indent}  `) + child
  if (open.kind === 'empty') {
    const tag = `${text.slice(start, open.end - 2).trimEnd()}>`
    const close = `${newLine}${indent}</${parent.name}>`
    return text.slice(0, start) + tag + inner + close + text.slice(open.end)
  }
  const at =
    after === undefined ? open.end : endOfLine(text, endOfElement(text, offsetIn(text, after)))
  const isClosing = text.startsWith('</', at)
  return text.slice(0, at) + inner + (isClosing ? newLine + indent : '') + text.slice(at)
}

/** Takes an element out, its lines with it when nothing else stands there. */
export function removeElement(text: string, element: XmlElement): string {
  const start = offsetIn(text, element)
  const end = endOfElement(text, start)
  const before = /(\r\n|\r|\n)?[ \t]*$/.exec(text.slice(0, start))?.[0] ?? ''
  const isAlone = /^[ \t]*[\r\n]/.test(text.slice(end)) && /[\r\n]/.test(before)
  const from = isAlone ? start - before.length : start
  return text.slice(0, from) + text.slice(end)
}

/** Gives an attribute of the element another value, or adds the attribute as the last one. */
export function setAttribute(
  text: string,
  element: XmlElement,
  name: string,
  value: string,
): string {
  const start = offsetIn(text, element)
  const [tag] = tagsOf(text, start)
  if (tag === undefined) throw new Error('a parsed element has no tag')
  const attributes = text.slice(start, tag.end).matchAll(/\s([^\s=<>/]+)\s*=\s*("[^"]*"|'[^']*')/g)
  const written = `${name}="${escapeAttribute(value)}"`
  let last = start + 1 + element.name.length
  for (const { 0: whole, 1: known, index } of attributes) {
    last = start + index + whole.length
    if (known === name) return text.slice(0, start + index + 1) + written + text.slice(last)
  }
  return `${text.slice(0, last)} ${written}${text.slice(last)}`
}

export function escapeAttribute(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/\s/g, ' ')
}

/** What stands before an element that begins its line; undefined for another. */
function indentOf(text: string, element: XmlElement | undefined): string | undefined {
  if (element === undefined) return undefined
  return /(?:^|[\r\n])([ \t]*)$/.exec(text.slice(0, offsetIn(text, element)))?.[1]
}

/** Places are those of the text without its byte order mark. */
function offsetIn(text: string, element: XmlElement): number {
  const mark = text.startsWith('\ufeff') ? 1 : 0
  return new LineTable(text.slice(mark)).offsetOf(element) + mark
}

/** Behind the comments that follow on the same line: they speak of what stands before them. */
function endOfLine(text: string, end: number): number {
  const [comments = ''] =
    /^(?:[ \t]*<!--(?:(?!-->)[^\r\n])*-->)*(?=[ \t]*[\r\n])/.exec(text.slice(end)) ?? []
  return end + comments.length
}

function endOfElement(text: string, start: number): number {
  let depth = 0
  for (const tag of tagsOf(text, start)) {
    if (tag.kind === 'open') depth += 1
    if (tag.kind === 'close') depth -= 1
    if (depth === 0) return tag.end
  }
  return text.length
}
