import { stripVTControlCharacters } from 'node:util'
import type { ContentFault } from '../file-change.ts'

/** More are not told: who has so many faults starts with the first. */
export const MAX_FAULTS = 100

const MAX_CHARACTERS = 500

/** A text of outside as one line that a terminal and a log can show. */
export function faultText(text: string): string {
  const line = stripVTControlCharacters(text)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
    .trim()
    .toWellFormed()
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS)}...`.toWellFormed() : line
}

/** Every line of a text as a fault, as far as there is something on it. */
export function faultLines(text: string): readonly ContentFault[] {
  return text
    .split(/\r\n|\r|\n/)
    .map(faultText)
    .filter((message) => message !== '')
    .slice(0, MAX_FAULTS)
    .map((message) => ({ message }))
}
