import { WorkSlots } from '../work-slots.ts'

/** As many as the threads that ask the file system. */
const AT_ONCE = 16

/** Does `work` for each, some at a time. Fails as the first that failed, when all have come to an end. */
export async function mapSome<Item, Value>(
  items: readonly Item[],
  work: (item: Item) => Promise<Value>,
): Promise<Value[]> {
  const slots = new WorkSlots(AT_ONCE)
  const outcomes = await Promise.allSettled(items.map((item) => slots.run(() => work(item))))
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}
