/** What a log keeps of one family; whichever is reached first. */
export interface HistoryBudget {
  readonly events: number
  readonly bytes: number
  readonly ageMs: number
}
