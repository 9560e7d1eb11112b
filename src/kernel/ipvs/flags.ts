import type { VirtualServerFlag } from '../../model/virtual-server.js';

/** include/uapi/linux/ip_vs.h: IP_VS_SVC_F_* */
export const ServiceFlag = {
  persistent: 0x1,
  /** Set by the kernel on every service in its table. */
  hashed: 0x2,
  onePacket: 0x4,
  scheduler1: 0x8,
  scheduler2: 0x10,
  scheduler3: 0x20,
} as const;

const words: readonly (readonly [VirtualServerFlag, number])[] = [
  ['flag-1', ServiceFlag.scheduler1],
  ['flag-2', ServiceFlag.scheduler2],
  ['flag-3', ServiceFlag.scheduler3],
  ['mh-fallback', ServiceFlag.scheduler1],
  ['mh-port', ServiceFlag.scheduler2],
  ['ops', ServiceFlag.onePacket],
  ['sh-fallback', ServiceFlag.scheduler1],
  ['sh-port', ServiceFlag.scheduler2],
];
const bitOf: ReadonlyMap<VirtualServerFlag, number> = new Map(words);

/** ipvsadm's words for the scheduler's bits, lowest first. */
const schedulerWords = (scheduler: string): readonly VirtualServerFlag[] => {
  if (scheduler === 'sh') return ['sh-fallback', 'sh-port', 'flag-3'];
  if (scheduler === 'mh') return ['mh-fallback', 'mh-port', 'flag-3'];
  return ['flag-1', 'flag-2', 'flag-3'];
};

/** The bits of the words. As in ipvsadm, a word of another scheduler stands for its bit too. */
export const flagBits = (flags: readonly VirtualServerFlag[]): number =>
  flags.reduce((bits, flag) => bits | (bitOf.get(flag) ?? 0), 0);

/** The words of the bits that a user can set, sorted; those of the scheduler's bits depend on the scheduler. */
export const flagWords = (bits: number, scheduler: string): readonly VirtualServerFlag[] => {
  if ((bits & ~(ServiceFlag.persistent | ServiceFlag.hashed)) === 0) return [];
  return [...schedulerWords(scheduler), 'ops' as const]
    .filter((word) => (bits & (bitOf.get(word) ?? 0)) !== 0)
    .toSorted();
};
