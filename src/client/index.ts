/**
 * The SDK of the broker, for Node and for browsers. It needs only what both have: `fetch`, `WebSocket`,
 * `crypto` and streams.
 */
export { BrokerError, PROBLEMS, type ProblemCode, type ProblemFields } from '../protocol/problem.ts'
export { BrokerClient } from './broker-client.ts'
export type { BrokerClientOptions } from './connection.ts'
export { type BrokerEvent, EVENTS_MISSED, type MissedEvents } from './events/broker-event.ts'
export type { EventSubscription } from './events/event-subscription.ts'
export type {
  CallOptions,
  EventsClient,
  HistoryOptions,
  HistoryPage,
  HistoryPageOptions,
  PublishAck,
  SubscribeOptions,
} from './events/events-client.ts'
export { JsonText } from './events/json-text.ts'
export type { EventAttributes, NewEvent } from './events/new-event.ts'
export type { WebSocketConstructor, WebSocketLike } from './events/web-socket-like.ts'
export type { FileDownload } from './files/file-download.ts'
export type { FileEntry } from './files/file-entry.ts'
export type { FileInfo } from './files/file-info.ts'
export type {
  ConditionOptions,
  FileOptions,
  FilesClient,
  GetOptions,
  ListOptions,
  PutOptions,
  StoredFile,
} from './files/files-client.ts'
export type { UploadContent, UploadProgress } from './files/upload-body.ts'
export { NetworkError } from './http/network-error.ts'
