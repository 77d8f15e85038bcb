/** See `subscription.js`. */
export function subscribe(options: {
  readonly url: string
  readonly token: string
  readonly filters: readonly string[]
  readonly onEvent: (event: { readonly data: unknown }) => void
  readonly onState: (state: string) => void
}): () => void
