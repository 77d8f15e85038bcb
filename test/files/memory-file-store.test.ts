import { MemoryFileStore } from '../../src/files/store/memory-file-store.ts'
import { fileStoreContract } from '../contract/file-store.ts'
import { MemoryTeller } from './support-index.ts'

fileStoreContract('memory file store', (options) => {
  const teller = new MemoryTeller()
  return Promise.resolve({
    store: new MemoryFileStore(teller.tell, options),
    told: () => Promise.resolve(teller.changes),
    leftovers: () => Promise.resolve([]),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })
})
