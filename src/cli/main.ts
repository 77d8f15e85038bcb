import { ProcessTerminal } from './process-terminal.ts'
import { runBroker } from './run-broker.ts'

const terminal = new ProcessTerminal()
const exitCode = await runBroker(process.argv.slice(2), terminal)
await terminal.output.flush()
// Idle connections and an open stdin would keep the process for seconds.
process.exit(exitCode)
