/**
 * The SDK of the broker, for Node and for browsers. It needs only what both have: `fetch`, `WebSocket`,
 * `crypto` and streams.
 */
export { BrokerError, PROBLEMS, type ProblemCode, type ProblemFields } from '../protocol/problem.ts'
export { BrokerClient } from './broker-client.ts'
export { type BrokerEvent, EVENTS_MISSED, type MissedEvents } from './broker-event.ts'
export type { BrokerClientOptions } from './connection.ts'
export type { EventSubscription } from './event-subscription.ts'
export type {
  CallOptions,
  EventsClient,
  HistoryOptions,
  HistoryPage,
  HistoryPageOptions,
  PublishAck,
  SubscribeOptions,
} from './events-client.ts'
export type { FileDownload } from './file-download.ts'
export type { FileEntry } from './file-entry.ts'
export type { FileInfo } from './file-info.ts'
export type {
  ConditionOptions,
  FileOptions,
  FilesClient,
  GetOptions,
  ListOptions,
  PutOptions,
  StoredFile,
} from './files-client.ts'
export { JsonText } from './json-text.ts'
export { NetworkError } from './network-error.ts'
export type { EventAttributes, NewEvent } from './new-event.ts'
export type { UploadContent, UploadProgress } from './upload-body.ts'
export type { WebSocketConstructor, WebSocketLike } from './web-socket-like.ts'
