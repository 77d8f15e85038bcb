import { examine } from '../../gateway/doctor.ts'
import type { Command } from '../command.ts'
import { commandSettings, settingsHelp } from '../command-settings.ts'
import { EXIT_CODES } from '../exit-code.ts'

const OWN_FLAGS = { '--json': 'switch' } as const

export const doctor: Command = {
  help: () => `Usage: broker doctor [--json] [SETTING...]

Looks at what a broker with these settings depends on and says what is wrong, with the fix. Run it as the
account of the broker. Exit code 0 without faults, 1 with one.

${settingsHelp(OWN_FLAGS)}`,
  async run(argv, { env, output }) {
    const { settings, own } = await commandSettings(argv, env, OWN_FLAGS)
    const findings = await examine(settings)
    for (const finding of findings) {
      const { check, verdict, detail } = finding
      const line = `${verdict.padEnd(8)}${check}: ${detail}`
      await output.line(own.has('--json') ? JSON.stringify(finding) : line)
    }
    const isIll = findings.some(({ verdict }) => verdict === 'fault')
    return isIll ? EXIT_CODES.failed : EXIT_CODES.ok
  },
}
