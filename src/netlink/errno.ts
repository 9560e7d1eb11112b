import { constants } from 'node:os';

/** include/uapi/asm-generic/errno.h and include/linux/errno.h: what the kernel's network code answers and Node has no name for. */
const kernelNames: Readonly<Record<number, string>> = {
  64: 'ENONET',
  66: 'EREMOTE',
  76: 'ENOTUNIQ',
  77: 'EBADFD',
  85: 'ERESTART',
  87: 'EUSERS',
  94: 'ESOCKTNOSUPPORT',
  96: 'EPFNOSUPPORT',
  108: 'ESHUTDOWN',
  109: 'ETOOMANYREFS',
  112: 'EHOSTDOWN',
  117: 'EUCLEAN',
  121: 'EREMOTEIO',
  126: 'ENOKEY',
  132: 'ERFKILL',
  512: 'ERESTARTSYS',
  524: 'ENOTSUPP',
};

/** Second names of EOPNOTSUPP and EAGAIN. */
const aliases: readonly string[] = ['ENOTSUP', 'EWOULDBLOCK'];

const names = new Map<number, string>([
  ...Object.entries(kernelNames).map(([number, name]) => [Number(number), name] as const),
  ...Object.entries(constants.errno)
    .filter(([name]) => !aliases.includes(name))
    .map(([name, number]) => [number, name] as const),
]);

/** `ENOENT` for 2; `E300` for a number that has no name. */
export const errnoName = (number: number): string => names.get(number) ?? `E${number}`;
