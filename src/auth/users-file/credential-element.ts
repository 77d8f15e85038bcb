import { isCurveKeyText } from './curve-key-text.ts'
import { ElementReader } from './element-reader.ts'
import { parseExpiryTime } from './expiry-time.ts'
import type { FaultList } from './users-fault.ts'
import type { ListedCredential } from './users-file.ts'
import type { XmlElement } from './users-xml.ts'
import { readWorkload, workloadHash } from './workload-element.ts'

export const CREDENTIAL_ELEMENTS: readonly string[] = ['token', 'certificate', 'curve-key', 'oidc']

/** Reads one of `CREDENTIAL_ELEMENTS`; undefined when a fault was reported. */
export function readCredential(
  element: XmlElement,
  faults: FaultList,
): ListedCredential | undefined {
  if (element.name === 'token') return readToken(element, faults)
  if (element.name === 'oidc') return readOidc(element, faults)
  return element.name === 'certificate'
    ? readCertificate(element, faults)
    : readCurveKey(element, faults)
}

function readToken(element: XmlElement, faults: FaultList): ListedCredential | undefined {
  const reader = readerOf(element, faults, ['id', 'sha256'])
  const id = reader.name('id')
  const value = reader.sha256('sha256')
  const rest = readRest(reader)
  if (id === undefined || value === undefined || rest === undefined) return undefined
  return { kind: 'token', id, value, ...rest }
}

function readCertificate(element: XmlElement, faults: FaultList): ListedCredential | undefined {
  const reader = readerOf(element, faults, ['sha256'])
  const value = reader.sha256('sha256')
  const rest = readRest(reader)
  if (value === undefined || rest === undefined) return undefined
  return { kind: 'certificate', id: value, value, ...rest }
}

function readCurveKey(element: XmlElement, faults: FaultList): ListedCredential | undefined {
  const reader = readerOf(element, faults, ['public'])
  const value = reader.required('public')
  if (value !== undefined && !isCurveKeyText(value)) {
    reader.fault('"public" is not a CURVE key: 40 characters of Z85')
    return undefined
  }
  const rest = readRest(reader)
  if (value === undefined || rest === undefined) return undefined
  return { kind: 'curve-key', id: value, value, ...rest }
}

function readOidc(element: XmlElement, faults: FaultList): ListedCredential | undefined {
  const reader = readerOf(element, faults, ['issuer', 'audience'], ['claim'])
  const workload = readWorkload(reader, faults)
  const rest = readRest(reader)
  if (workload === undefined || rest === undefined) return undefined
  const value = workloadHash(workload)
  return { kind: 'oidc', id: value, value, workload, ...rest }
}

function readerOf(
  element: XmlElement,
  faults: FaultList,
  own: readonly string[],
  children: readonly string[] = [],
): ElementReader {
  return new ElementReader(element, faults, {
    attributes: [...own, 'expires', 'note'],
    children,
  })
}

/** What every credential may have; undefined when its expiry is malformed: it must not live for ever. */
function readRest(
  reader: ElementReader,
): { readonly expiresMs?: number; readonly note?: string } | undefined {
  const note = reader.note()
  const expires = reader.optional('expires')
  const noted = note === undefined ? {} : { note }
  if (expires === undefined) return noted
  // A date and time of a schema may stand between spaces.
  const expiresMs = parseExpiryTime(expires.replaceAll(/^ +| +$/g, ''))
  if (expiresMs !== undefined) return { ...noted, expiresMs }
  reader.fault('"expires" is not a date and time with a zone, such as 2027-11-20T00:00:00Z')
  return undefined
}
