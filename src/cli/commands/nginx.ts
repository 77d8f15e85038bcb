import { judgeAccount } from '../../gateway/doctor/judge-account.ts'
import { writeFront } from '../../gateway/front/front.ts'
import {
  FRONT_FLAGS,
  parseFrontRequest,
  readProxySecret,
} from '../../gateway/front/front-request.ts'
import { nginxVersion } from '../../gateway/front/running-nginx.ts'
import type { Settings } from '../../gateway/settings/settings.ts'
import type { Command } from '../command.ts'
import { commandSettings, settingsHelp } from '../command-settings.ts'
import { UsageError } from '../usage-error.ts'

export const nginx: Command = {
  help: () => `Usage: broker nginx --dir DIR [OPTION...] [SETTING...]

Writes a configuration of Nginx for a broker with these settings into DIR, for the version of Nginx that is
installed here.
Start it with: nginx -p DIR -c nginx.conf

Options:
  --dir DIR             where to write it
  --http PORT           the port for HTTP, or address:port; default 8088, none with --https
  --https PORT          the port for HTTPS; needs --certificate and --key
  --certificate FILE    the certificate, PEM
  --key FILE            its key, PEM
  --client-ca FILE      ask for client certificates of these authorities, PEM
  --zmq-subscribe PORT  ports for the XPUB endpoints of the broker, or off; default theirs + 1000
  --zmq-session PORT    ports for the ROUTER endpoints of the broker, or off; default theirs + 1000
  --user ACCOUNT        the account of the workers when Nginx is started as root, or 'ACCOUNT GROUP'; a
                        broker on a unix socket needs one that is of its group

${settingsHelp(FRONT_FLAGS)}`,
  async run(argv, { env, messages }) {
    const { settings, own } = await commandSettings(argv, env, FRONT_FLAGS)
    const request = parseFrontRequest(own, settings, process.cwd(), {
      secret: await secretOf(settings),
      nginxVersion: await nginxVersion(),
    })
    if (!request.ok) throw new UsageError(request.error.faults.join('\n'))
    const { dir, options } = request.value
    await writeFront(dir, options)
    messages.write(`written; start it with: nginx -p ${dir} -c nginx.conf\n`)
    for (const { detail, fix } of judgeAccount(settings.listen, options.user)) {
      messages.write(`${detail}: ${fix}\n`)
    }
    return 0
  },
}

async function secretOf({ proxySecretFile }: Settings): Promise<string> {
  if (proxySecretFile === undefined) return ''
  const secret = await readProxySecret(proxySecretFile)
  if (!secret.ok) throw new UsageError(secret.error.faults.join('\n'))
  return secret.value
}
