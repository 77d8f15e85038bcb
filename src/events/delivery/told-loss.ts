import type { Loss } from '../log/event-log.ts'

/** What one stream was told is lost, so that nothing is told twice. */
export class ToldLoss {
  #told: Loss = { resumed: 0, through: 0 }

  /** Everything up to `to` was told, as far as it is lost. */
  begin(to: number, lost: Loss): void {
    this.#told = upTo(to, lost)
  }

  /**
   * Whether more was trimmed, of either family, than was told last.
   *
   * @param after - where the stream reads on; what was lost before that does not concern it
   * @param to - where it stops
   * @returns what is to be told now
   */
  next(lost: Loss, after: number, to: number): Loss | undefined {
    const loss = upTo(to, lost)
    const isNews =
      loss.through > this.#told.through || loss.resumed > Math.max(this.#told.resumed, after)
    if (!isNews) return undefined
    this.#told = loss
    return loss
  }
}

/** What of a loss lies before the end of what is looked at. */
function upTo(offset: number, { resumed, through }: Loss): Loss {
  return { resumed: Math.min(resumed, offset), through: Math.min(through, offset) }
}
