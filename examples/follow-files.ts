// Follows all changes of files with the TypeScript client; restarts of the broker are bridged.
//
//     BROKER_URL=http://localhost:8080 BROKER_TOKEN=dbk_... npx node examples/follow-files.ts
//
// `npx node` is the Node of this repository, which runs TypeScript as it is.
//
// In another project: `npm run build` here, `npm install <this directory>` there, and the import is 'data-broker'.
import { BrokerClient } from '../src/client/index.ts'

const broker = new BrokerClient({
  url: process.env['BROKER_URL'] ?? 'http://localhost:8080',
  token: process.env['BROKER_TOKEN'] ?? '',
})

await using events = broker.events.subscribe(['files/**'])
for await (const { type, subject } of events) console.log(type, subject)
