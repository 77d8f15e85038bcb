import { statfs } from 'node:fs/promises'

/**
 * File systems of disks and memory of this machine, by the numbers of `statfs` (2): ext, XFS, Btrfs, tmpfs, F2FS, ZFS,
 * bcachefs, and overlays of containers. Others may be a network away, and would hold up everybody when it is.
 */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x794c7630,
])

/** True when what lies in `directory` answers without waiting for anybody else. */
export async function isLocal(directory: string): Promise<boolean> {
  const { type } = await statfs(directory)
  return LOCAL_FILE_SYSTEMS.has(type)
}
