declare const brand: unique symbol;

/** A string or number that only its constructor function may make: the only place with a cast. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
