import type { Command } from './command.ts'

export interface CommandEntry {
  readonly summary: string
  /** Loaded when it is used, so that a small command does not wait for the code of the server. */
  load(): Promise<Command>
}

/** All verbs in the order of the help. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  serve: {
    summary: 'run the broker',
    load: async () => (await import('./commands/serve.ts')).serve,
  },
  publish: {
    summary: 'publish an event, or many',
    load: async () => (await import('./commands/publish.ts')).publish,
  },
  subscribe: {
    summary: 'print events as they come',
    load: async () => (await import('./commands/subscribe.ts')).subscribe,
  },
  put: {
    summary: 'store a file',
    load: async () => (await import('./commands/put.ts')).put,
  },
  get: {
    summary: 'collect a file',
    load: async () => (await import('./commands/get.ts')).get,
  },
  ls: {
    summary: 'list a directory',
    load: async () => (await import('./commands/ls.ts')).ls,
  },
  rm: {
    summary: 'delete a file, or a directory',
    load: async () => (await import('./commands/rm.ts')).rm,
  },
  'files expiring': {
    summary: 'tell what a policy would delete by age',
    load: async () => (await import('./commands/files-expiring.ts')).filesExpiring,
  },
  'token create': {
    summary: 'make a token for a user',
    load: async () => (await import('./commands/token-create.ts')).tokenCreate,
  },
  'token rotate': {
    summary: 'make a new token for a user, and give the others an end',
    load: async () => (await import('./commands/token-rotate.ts')).tokenRotate,
  },
  'token revoke': {
    summary: 'remove a token from the users file',
    load: async () => (await import('./commands/token-revoke.ts')).tokenRevoke,
  },
  'users list': {
    summary: 'list the users and what they are known by',
    load: async () => (await import('./commands/users-list.ts')).usersList,
  },
  'users add': {
    summary: 'add a user to the users file',
    load: async () => (await import('./commands/users-add.ts')).usersAdd,
  },
  'users remove': {
    summary: 'remove a user from the users file',
    load: async () => (await import('./commands/users-remove.ts')).usersRemove,
  },
  'users check': {
    summary: 'validate a users file',
    load: async () => (await import('./commands/users-check.ts')).usersCheck,
  },
  'users diff': {
    summary: 'tell what a users file would change',
    load: async () => (await import('./commands/users-diff.ts')).usersDiff,
  },
  check: {
    summary: 'tell what a user may do, and which grant decides',
    load: async () => (await import('./commands/check.ts')).check,
  },
  audit: {
    summary: 'tell who changed what',
    load: async () => (await import('./commands/audit.ts')).audit,
  },
  doctor: {
    summary: 'look for what is wrong with the set-up on this machine',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  backup: {
    summary: 'write the state of a running broker into a file',
    load: async () => (await import('./commands/backup.ts')).backup,
  },
  restore: {
    summary: 'put a backup in the place of the data directory',
    load: async () => (await import('./commands/restore.ts')).restore,
  },
  config: {
    summary: 'print the settings in force',
    load: async () => (await import('./commands/config.ts')).config,
  },
  keys: {
    summary: 'print the public key of the CURVE endpoints',
    load: async () => (await import('./commands/keys.ts')).keys,
  },
  nginx: {
    summary: 'write a configuration of Nginx for this broker',
    load: async () => (await import('./commands/nginx.ts')).nginx,
  },
}
