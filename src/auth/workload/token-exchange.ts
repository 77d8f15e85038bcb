import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose'
import { BrokerError } from '../../protocol/problem.ts'
import { addressSource } from '../credentials/address-source.ts'
import type { FailureThrottle } from '../credentials/failure-throttle.ts'
import { tokenHash } from '../credentials/tokens.ts'
import type { OwnedCredential } from '../rights/users-table.ts'
import type { IssuedToken, UserDirectory } from '../user-directory.ts'
import { type IssuerKeys, IssuerUnavailable } from './issuer-keys.ts'
import { isMeantBy } from './workload-rule.ts'

export interface TokenExchangeDeps {
  readonly directory: UserDirectory
  readonly keys: IssuerKeys
  readonly throttle: FailureThrottle
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface ExchangedToken extends IssuedToken {
  /** `sub` of the workload, for the log. */
  readonly subject: string
}

/** Signed with a key that only the issuer has: none where ours to check would be ours to sign. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']
const MAX_TOKEN_LENGTH = 16 * 1024
const SKEW_SECONDS = 60
/** A job may be long, but a token that says it is good for years is not believed for more than a day. */
const MAX_AGE_SECONDS = 24 * 60 * 60

/** Why a token was refused: for the log. The caller is not told, it would help to guess the rules. */
class Refusal extends Error {}

/** Gives a workload, known by a token of its issuer, a token of the broker. */
export class TokenExchange {
  readonly #deps: TokenExchangeDeps

  constructor(deps: TokenExchangeDeps) {
    this.#deps = deps
  }

  /**
   * @param user - which one, when the rules of several mean the workload
   * @param from - what failures are counted by
   * @throws {BrokerError} `CREDENTIAL_INVALID` with the reason as its cause; `UNAVAILABLE` when the issuer
   *   cannot be asked for its keys; `TOO_MANY_REQUESTS`
   */
  async exchange(token: string, user: string | undefined, from: string): Promise<ExchangedToken> {
    const { throttle, directory } = this.#deps
    const hash = tokenHash(token)
    const source = addressSource(from)
    throttle.check(source, hash)
    try {
      // Judged before its keys are fetched: nobody makes the broker ask an issuer for nothing.
      const rule = this.#ruleFor(unverified(token), user)
      const { payload } = await this.#verify(token, rule)
      const issued = directory.issue(rule)
      if (issued === undefined) throw new Refusal('the rule is no longer in the users file')
      return { ...issued, subject: payload.sub ?? '' }
    } catch (cause) {
      if (cause instanceof IssuerUnavailable) {
        throw new BrokerError('UNAVAILABLE', 'the issuer of the token cannot be asked now', {
          cause,
          fields: { retryAfterSeconds: 10 },
        })
      }
      if (!(cause instanceof Refusal || cause instanceof errors.JOSEError)) throw cause
      throttle.failed(source, hash)
      throw new BrokerError('CREDENTIAL_INVALID', 'the token was not accepted for a user', {
        cause,
      })
    }
  }

  #ruleFor(claims: JWTPayload, user: string | undefined): OwnedCredential {
    const { directory } = this.#deps
    const ofIssuer = directory.table.workloadsOf(claims.iss ?? '')
    if (ofIssuer.length === 0) throw new Refusal('no user has a rule for the issuer')
    const meant = ofIssuer.filter(
      (rule) =>
        (user === undefined || rule.user === user) &&
        rule.workload !== undefined &&
        isMeantBy(rule.workload, claims) &&
        !directory.isExpired(rule),
    )
    const [first] = meant
    if (first === undefined) throw new Refusal('no rule for the issuer means the workload')
    if (meant.some((other) => other.user !== first.user)) {
      throw new Refusal('rules of several users mean the workload; it has to name one')
    }
    return first
  }

  async #verify(token: string, { workload }: OwnedCredential) {
    if (workload === undefined) throw new Error('a rule without a workload')
    const { issuer, audience } = workload
    const verified = await jwtVerify(token, this.#deps.keys.of(issuer), {
      ...{ algorithms: ALGORITHMS, issuer, audience },
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance: SKEW_SECONDS,
      maxTokenAge: MAX_AGE_SECONDS,
      currentDate: new Date(this.#deps.now()),
    })
    // A token of another purpose says so (RFC 8725 section 3.11); issuers of workload tokens say "JWT".
    const { typ } = verified.protectedHeader
    if (typ !== undefined && typ.toUpperCase() !== 'JWT') throw new Refusal(`its type is another`)
    return verified
  }
}

/** What the token says of itself: enough to find the rule that it is verified by. */
function unverified(token: string): JWTPayload {
  if (token.length > MAX_TOKEN_LENGTH) throw new Refusal('it is too long')
  return decodeJwt(token)
}
