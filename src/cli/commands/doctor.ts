import { resolve } from 'node:path'
import { examine } from '../../gateway/doctor/examine.ts'
import { packageVersion } from '../../gateway/version.ts'
import type { Command } from '../command.ts'
import { commandSettings, settingsHelp } from '../command-settings.ts'
import { EXIT_CODES } from '../exit-code.ts'

const OWN_FLAGS = { '--json': 'switch', '--nginx': 'value' } as const

export const doctor: Command = {
  help: () => `Usage: broker doctor [--json] [--nginx DIR] [SETTING...]

Looks at what a broker with these settings depends on, whether it runs or not, and says what is wrong, with the
fix. Run it as the account of the broker; as root it also sees the configuration of an Nginx that keeps a
secret. Changes nothing. Exit code 0 without problems, 1 with one.

Options:
  --json       print {verdict, findings: [{check, verdict, detail, fix}]}; a verdict is ok, warning or problem
  --nginx DIR  examine the configuration in DIR; without it those of the Nginx that run before the broker

${settingsHelp(OWN_FLAGS)}`,
  async run(argv, { env, output }) {
    const { settings, own } = await commandSettings(argv, env, OWN_FLAGS)
    const dir = own.get('--nginx')
    const nginx = dir === undefined ? undefined : resolve(String(dir))
    const findings = await examine({ settings, version: await packageVersion(), nginx })
    const verdict =
      (['problem', 'warning'] as const).find((one) => findings.some((f) => f.verdict === one)) ??
      'ok'
    if (own.has('--json')) await output.line(JSON.stringify({ verdict, findings }))
    else {
      for (const { check, verdict, detail, fix } of findings) {
        await output.line(`${verdict.padEnd(8)} ${check}: ${detail}`)
        if (fix !== undefined) await output.line(`${' '.repeat(8)} fix: ${fix}`)
      }
    }
    return verdict === 'problem' ? EXIT_CODES.failed : EXIT_CODES.ok
  },
}
