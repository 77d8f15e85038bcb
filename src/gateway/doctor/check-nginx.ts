import { resolve } from 'node:path'
import { findDirectives } from '../front/front-dump.ts'
import { readProxySecret } from '../front/front-request.ts'
import { dumpNginx, type NginxConfiguration, runningNginx } from '../front/running-nginx.ts'
import type { Settings } from '../settings/settings.ts'
import { formatListenAddress } from '../settings/settings-addresses.ts'
import { checkCertificate } from './check-certificate.ts'
import { ok, problem, type Verdict, warning } from './finding.ts'
import { brokerLocations, inForce } from './front-facts.ts'
import { judgeAccount } from './judge-account.ts'
import { judgeFront } from './judge-front.ts'

/** The Nginx in front of the broker: the given one, or those that run. */
export async function checkNginx(about: {
  readonly settings: Settings
  readonly nginx: string | undefined
}): Promise<readonly Verdict[]> {
  const { settings, nginx } = about
  const starts =
    nginx === undefined ? await runningNginx() : [{ prefix: nginx, file: 'nginx.conf' }]
  const verdicts: Verdict[] = []
  for (const start of starts) {
    try {
      const configuration = await dumpNginx(start)
      if (brokerLocations(configuration.directives, settings.listen).length === 0) continue
      verdicts.push(...(await checkFront(configuration, settings, start.prefix)))
    } catch (error) {
      const place = start.prefix ?? 'the configuration of the system'
      // Of one that only happens to run here nobody knows whether it is in front of this broker.
      const judge = nginx === undefined ? warning : problem
      const fix = 'correct it, or run this as root'
      verdicts.push(judge(`${place}: ${(error as Error).message}`, fix))
    }
  }
  return verdicts.length > 0 ? verdicts : [absent(settings, nginx)]
}

function absent({ listen, proxy }: Settings, nginx: string | undefined): Verdict {
  const place = formatListenAddress(listen)
  if (nginx !== undefined) {
    return problem(`${nginx} passes nothing on to ${place}`, `broker nginx --dir ${nginx}`)
  }
  return proxy === 'off'
    ? ok('none runs that passes requests on to the broker')
    : warning(`none runs that passes requests on to ${place}`, 'start it: see broker nginx --help')
}

async function checkFront(
  configuration: NginxConfiguration,
  settings: Settings,
  prefix: string | undefined,
): Promise<readonly Verdict[]> {
  const { proxySecretFile, listen } = settings
  const [user] = findDirectives(configuration.directives, 'user')
  const secret = proxySecretFile === undefined ? undefined : await readProxySecret(proxySecretFile)
  const faults =
    secret?.ok === false ? [problem(secret.error.faults.join('; '), 'write a new secret')] : []
  const found = [
    ...faults,
    ...judgeFront(configuration, settings, secret?.ok === true ? secret.value : undefined),
    ...(await checkCertificates(configuration)),
    // Started by anybody else it works as whoever that is.
    ...(process.getuid?.() === 0 ? judgeAccount(listen, user?.directive.args[0]) : []),
  ]
  const isWell = found.every(({ verdict }) => verdict === 'ok')
  return isWell
    ? [ok(`the configuration in ${prefix ?? configuration.directory}`), ...found]
    : found
}

async function checkCertificates(configuration: NginxConfiguration): Promise<readonly Verdict[]> {
  const { directives, directory } = configuration
  const verdicts = findDirectives(directives, 'server').map(async ({ directive, within }) => {
    const blocks = [...within, directive]
    const path = (name: string) => {
      const value = inForce(blocks, name)[0]?.args[0]
      return value === undefined ? undefined : resolve(directory, value)
    }
    const [certificate, key] = [path('ssl_certificate'), path('ssl_certificate_key')]
    if (certificate === undefined || key === undefined) return []
    return await checkCertificate(certificate, key, Date.now())
  })
  return (await Promise.all(verdicts)).flat()
}
