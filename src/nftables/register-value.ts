import type { RegisterValue } from './declarations.js';

/** The bytes that a value has in registers: a number is in the machine's byte order. */
export const registerBytesOf = (value: RegisterValue): Uint8Array =>
  typeof value === 'number' ? new Uint8Array(Uint32Array.of(value).buffer) : value;

/** The number in the bytes of one register, in the machine's byte order. */
export const registerNumberOf = (bytes: Uint8Array): number =>
  new Uint32Array(bytes.slice(0, 4).buffer)[0] ?? 0;
