import { fileStoreContract } from '../contract/file-store.ts'
import { openSqliteIndex } from './support-index.ts'
import { openDiskStore } from './support-store.ts'

fileStoreContract('disk file store', (options) => openDiskStore(options))

fileStoreContract('disk file store over SQLite', async (options) =>
  openDiskStore({ ...options, index: await openSqliteIndex() }),
)
