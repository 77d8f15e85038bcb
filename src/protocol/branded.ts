declare const brand: unique symbol

/** A string that one parser has checked; see the function of the same name. */
export type Branded<Name extends string> = string & { readonly [brand]: Name }
