import { access, rename } from 'node:fs/promises'

/**
 * Gives each of `places` what lies beside it as `place + draft`, and keeps what was there as
 * `place + aside`. All of them or, where one cannot be replaced, none.
 *
 * @returns the places where something was
 */
export async function swapIn(
  places: readonly string[],
  draft: string,
  aside: string,
): Promise<readonly string[]> {
  const taken: string[] = []
  const done: (readonly [from: string, to: string])[] = []
  const move = async (from: string, to: string) => {
    await rename(from, to)
    done.push([from, to])
  }
  try {
    for (const place of places) {
      if (await exists(place)) {
        await move(place, place + aside)
        taken.push(place)
      }
      await move(place + draft, place)
    }
    return taken
  } catch (error) {
    for (const [from, to] of done.reverse()) await rename(to, from)
    throw error
  }
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
