import { hash } from 'node:crypto'
import type { ClaimRule, WorkloadRule } from '../workload/workload-rule.ts'
import { ElementReader } from './element-reader.ts'
import type { FaultList } from './users-fault.ts'
import type { XmlElement } from './users-xml.ts'

/** https, or http to this machine; nothing that a URL could hide. */
const ISSUER =
  /^(https:\/\/[A-Za-z0-9.-]+|http:\/\/(localhost|127\.0\.0\.1|\[::1\]))(:\d{1,5})?(\/[A-Za-z0-9._~/-]*)?$/
const CLAIM_NAME = /^[A-Za-z0-9_./:-]{1,128}$/
const MAX_ISSUER_LENGTH = 500
const MAX_AUDIENCE_LENGTH = 200
const MAX_VALUE_LENGTH = 500

/** Reads what is in `<oidc>` beside what every credential has; undefined when a fault was reported. */
export function readWorkload(reader: ElementReader, faults: FaultList): WorkloadRule | undefined {
  const issuer = readIssuer(reader)
  const audience = reader.required('audience')
  const isAudience = audience !== undefined && isText(audience, MAX_AUDIENCE_LENGTH)
  if (audience !== undefined && !isAudience) {
    reader.fault(`"audience" is empty or longer than ${MAX_AUDIENCE_LENGTH} characters`)
  }
  const elements = reader.all('claim')
  if (elements.length === 0)
    reader.fault('"oidc" has no "claim": anybody of the issuer would be meant')
  const claims = elements.flatMap((element) => readClaim(element, faults) ?? [])
  const names = new Set(claims.map(({ name }) => name))
  if (names.size < claims.length) reader.fault('a claim is there more than once')
  const isWhole = isAudience && claims.length > 0 && claims.length === elements.length
  return issuer !== undefined && isWhole ? { issuer, audience, claims } : undefined
}

/** What a rule is recognised by: the same for the same rule, whatever the order of its claims. */
export function workloadHash({ issuer, audience, claims }: WorkloadRule): string {
  const sorted = claims.map(({ name, value }) => [name, value]).toSorted()
  return hash('sha256', JSON.stringify([issuer, audience, sorted]), 'hex')
}

function readIssuer(reader: ElementReader): string | undefined {
  const issuer = reader.required('issuer')
  if (issuer === undefined) return undefined
  const isIssuer = ISSUER.test(issuer) && issuer.length <= MAX_ISSUER_LENGTH
  if (isIssuer && URL.canParse(issuer)) return issuer
  reader.fault(
    isIssuer
      ? '"issuer" has no valid host or port'
      : '"issuer" is no https URL without query, such as https://token.actions.githubusercontent.com',
  )
  return undefined
}

function readClaim(element: XmlElement, faults: FaultList): ClaimRule | undefined {
  const reader = new ElementReader(element, faults, {
    attributes: ['name', 'value'],
    children: [],
  })
  const name = reader.required('name')
  const value = reader.required('value')
  const isName = name !== undefined && CLAIM_NAME.test(name)
  if (name !== undefined && !isName) reader.fault('"name" is not the name of a claim')
  const isValue = value !== undefined && isText(value, MAX_VALUE_LENGTH) && /[^*/]/.test(value)
  if (value !== undefined && !isValue) {
    reader.fault(`"value" is empty, longer than ${MAX_VALUE_LENGTH} characters, or only of * and /`)
  }
  return isName && isValue ? { name, value } : undefined
}

function isText(text: string, maxLength: number): boolean {
  return text !== '' && [...text].length <= maxLength
}
