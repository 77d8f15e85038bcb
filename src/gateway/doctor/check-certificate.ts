import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { checkSecret } from './check-data.ts'
import { ok, problem, type Verdict, warning } from './finding.ts'

const DAY_MS = 86_400_000
const SOON_DAYS = 14

/** The first certificate of the file, which is that of the server, and its key. Both are PEM. */
export async function checkCertificate(
  path: string,
  key: string,
  nowMs: number,
): Promise<readonly Verdict[]> {
  const certificate = new X509Certificate(await readFile(path))
  const isPair = certificate.checkPrivateKey(createPrivateKey(await readFile(key)))
  return [
    isPair ? judgeEnd(path, certificate.validTo, nowMs) : notItsKey(path, key),
    ...checkSecret(key, await stat(key)),
  ]
}

function notItsKey(path: string, key: string): Verdict {
  return problem(`${key} is not the key of ${path}`, 'name the key that it was made with')
}

function judgeEnd(path: string, validTo: string, nowMs: number): Verdict {
  const leftMs = Date.parse(validTo) - nowMs
  if (leftMs < 0) return problem(`${path} ended on ${validTo}`, 'renew it')
  const detail = `${path} ends on ${validTo}`
  return leftMs < SOON_DAYS * DAY_MS ? warning(detail, 'renew it') : ok(detail)
}
