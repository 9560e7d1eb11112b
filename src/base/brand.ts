declare const brand: unique symbol;

/** A string or number that only its constructor function makes; only that function has a cast. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
