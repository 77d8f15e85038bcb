import { CalledProcess } from './load/process-calls.ts'
import type { Uploader } from './load/uploader.ts'
import { contenderTable, formatDecimal, median, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { busiestCores, type LoadReport } from './measure/load-report.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { PRODUCER, startBroker } from './servers/broker.ts'

const FILES = 1000
const FILE_BYTES = 1024

export const formUploads: Line = {
  name: 'form-uploads',
  needs: [],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const { port, process } = await startBroker()
    cleanup.use(process)
    const uploader = cleanup.use(
      CalledProcess.start<Uploader>(new URL('./load/uploader.ts', import.meta.url)),
    )
    const directories = Array.from({ length: 1000 }, (_, run) => `/files/bench/${run}/`).values()
    const contender = (name: string, upload: () => Promise<LoadReport>): Contender => ({
      name,
      run: async () => {
        const size = { files: FILES, bytes: FILE_BYTES, atOnce: 1 }
        const directory = directories.next().value ?? ''
        await uploader.call('prepare', { port, directory, headers: PRODUCER, ...size })
        const before = processorSeconds(process.pid)
        const uploaded = await upload()
        const busySeconds = processorSeconds(process.pid) - before
        const seconds = (uploaded.endedMs - uploaded.startedMs) / 1000
        return {
          figures: {
            'files/s': FILES / seconds,
            'ms of processor each': (busySeconds * 1000) / FILES,
          },
          generatorCores: busiestCores([uploaded], seconds),
          fault: await uploader.call('check', undefined),
        }
      },
    })
    const contenders = [
      contender('broker, one form', () => uploader.call('uploadForm', undefined)),
      contender('broker, PUT one after another', () => uploader.call('upload', undefined)),
    ]
    for (const each of contenders) await each.run()
    return section(await interleave(contenders, isQuick ? 3 : 7, tell))
  },
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'Many small files in one form',
    notes: [
      `${FILES} new files of ${FILE_BYTES} random bytes into one directory, durable when acknowledged: as the parts of one ` +
        '`multipart/form-data`, and by PUT one after another on one connection.',
      'Checked: status and digests of the answers, and each file read again afterwards.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('files/s'),
        median('ms of processor each', formatDecimal, 'processor ms each'),
        ratio('files/s', 'form : it'),
      ]),
    ],
  }
}
