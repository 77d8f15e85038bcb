import { MemoryEventLog } from '../../src/events/log/memory-event-log.ts'
import { testEventLog } from '../contract/event-log.ts'

testEventLog('MemoryEventLog', {
  open: async ({ budget, now }) => new MemoryEventLog({ budget, now, epoch: 'm1' }),
})
