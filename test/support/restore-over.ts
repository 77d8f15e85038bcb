import { join } from 'node:path'
import { restoreBackup } from '../../src/gateway/backup/restore-backup.ts'
import type { TestGateway } from './gateway.ts'

/** Stops the broker and puts a backup in the place of all that it has; `restart()` starts it over that. */
export async function restoreOver(broker: TestGateway, archive: string): Promise<void> {
  await broker.gateway.close()
  const data = join(broker.directory, 'data')
  await restoreBackup(archive, {
    data,
    database: join(data, 'state/broker.db'),
    files: join(data, 'files'),
    users: join(broker.directory, 'config/broker_users.xml'),
    newEpoch: 'restored',
    force: true,
  })
}
