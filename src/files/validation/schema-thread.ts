/** The thread of `schema-check.ts`: judges contents by JSON Schemas, one after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { JsonJudge } from './json-judge.ts'
import type { SchemaQuestion, SchemaText } from './schema-check.ts'

if (parentPort === null) throw new Error('schema-thread.ts is started by schema-check.ts')
const port = parentPort
const judges = new Map<string, JsonJudge>()
const broken: string[] = []

for (const { file, text } of workerData as readonly SchemaText[]) {
  const judge = JsonJudge.compile(text)
  if (judge.ok) judges.set(file, judge.value)
  else broken.push(`${file}: ${judge.error}`)
}
port.postMessage(broken)

port.on('message', ({ schema, bytes, isLines }: SchemaQuestion) => {
  const judge = judges.get(schema)
  if (judge === undefined) throw new Error('the schema was not compiled')
  port.postMessage(isLines ? judge.lines(bytes) : judge.document(bytes))
})
