/** Where a subscription starts. */
export interface Subscribed {
  /** Everything after it follows. */
  readonly position: string
  /** False when something between `since` and here is lost; `EVENTS MISSED` says why. */
  readonly recovered: boolean
}

/** What a subscriber is told on the way. */
export interface SubscribeProgress {
  /** Before the first event of the replay. */
  accepted?(subscribed: Subscribed): void
  /** After the last one. */
  replayed?(position: string): void
}
