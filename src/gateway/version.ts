import { readFile } from 'node:fs/promises'

/** The version of this program, e.g. `0.1.0`. */
export async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string }
  return version
}
