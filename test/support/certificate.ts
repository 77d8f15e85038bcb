import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** Why certificates cannot be made here, for the `skip` of a test; false when they can. */
export const OPENSSL_MISSING: string | false =
  spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed'

/** Makes `<dir>/<name>.pem` and its key, signed by the authority of that name or by itself. */
export function makeCertificate(dir: string, name: string, issuer?: string) {
  const pair = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) }
  const signed = issuer && ['-CA', join(dir, `${issuer}.pem`), '-CAkey', join(dir, `${issuer}.key`)]
  const { status, stderr } = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost'],
      ...['-out', pair.cert, '-keyout', pair.key],
      ...(signed ?? []),
      ...(signed ? ['-addext', 'basicConstraints=CA:FALSE'] : []),
    ],
    { encoding: 'utf8' },
  )
  assert.equal(status, 0, stderr)
  return pair
}
