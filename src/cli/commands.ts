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
    load: async () => (await import('./serve.ts')).serve,
  },
  publish: {
    summary: 'publish an event, or many',
    load: async () => (await import('./publish.ts')).publish,
  },
  subscribe: {
    summary: 'print events as they come',
    load: async () => (await import('./subscribe.ts')).subscribe,
  },
  put: {
    summary: 'store a file',
    load: async () => (await import('./put.ts')).put,
  },
  get: {
    summary: 'collect a file',
    load: async () => (await import('./get.ts')).get,
  },
  ls: {
    summary: 'list a directory',
    load: async () => (await import('./ls.ts')).ls,
  },
  rm: {
    summary: 'delete a file, or a directory',
    load: async () => (await import('./rm.ts')).rm,
  },
  'token create': {
    summary: 'make a token for a user',
    load: async () => (await import('./token-create.ts')).tokenCreate,
  },
  'token revoke': {
    summary: 'remove a token from the users file',
    load: async () => (await import('./token-revoke.ts')).tokenRevoke,
  },
  'users check': {
    summary: 'validate a users file',
    load: async () => (await import('./users-check.ts')).usersCheck,
  },
  check: {
    summary: 'tell what a user may do, and which grant decides',
    load: async () => (await import('./check.ts')).check,
  },
  config: {
    summary: 'print the settings in force',
    load: async () => (await import('./config.ts')).config,
  },
  nginx: {
    summary: 'write a configuration of Nginx for this broker',
    load: async () => (await import('./nginx.ts')).nginx,
  },
}
