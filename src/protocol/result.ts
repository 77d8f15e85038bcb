/** An outcome that the caller must look at now. Pure code returns it and never throws for bad input. */
export type Result<Value, Failure = string> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: Failure }

export function ok<Value>(value: Value): Result<Value, never> {
  return { ok: true, value }
}

export function err<Failure>(error: Failure): Result<never, Failure> {
  return { ok: false, error }
}
