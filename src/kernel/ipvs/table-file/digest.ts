import { familyOf, writeIp } from '../../../base/ip.js';
import type { Forwarding, RealServer } from '../../../model/virtual-server.js';

/** How the file names the forwarding method: it has no word for `bypass` (ip_vs_fwd_name). */
export const forwardingCodes: Readonly<Record<Forwarding, number>> = {
  masquerade: 0,
  bypass: 0,
  local: 1,
  tunnel: 2,
  direct: 3,
};

/** What the file shows of a real server, without its connections. */
export interface RealServerNumbers {
  readonly isIpv6: boolean;
  /** The address in network order: one word of IPv4, four of IPv6. */
  readonly words: Uint32Array;
  readonly port: number;
  readonly forwardingCode: number;
  readonly weight: number;
}

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/** A step and the end of MurmurHash3 (32 bits), which is public domain. */
const mix = (hash: number, word: number): number =>
  (Math.imul(rotate(hash ^ Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593), 13), 5) +
    0xe6546b64) |
  0;
const finish = (hash: number): number => {
  const a = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  const b = Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return b ^ (b >>> 16);
};

/**
 * A number for the real servers of one virtual server as the file shows them, whatever their order. Equal sets have equal
 * digests; different ones have the same with a probability of 2^-53.
 */
export class RealServersDigest {
  #high = 0;
  #low = 0;
  #count = 0;

  reset(): void {
    this.#high = 0;
    this.#low = 0;
    this.#count = 0;
  }

  add({ isIpv6, words, port, forwardingCode, weight }: RealServerNumbers): void {
    const rest = (port << 3) | (forwardingCode << 1) | Number(isIpv6);
    let high = 0x9747b28c;
    let low = 0x2f0b4c47;
    const length = isIpv6 ? 4 : 1;
    for (let index = 0; index < length; index += 1) {
      const word = words[index] ?? 0;
      high = mix(high, word);
      low = mix(low, word);
    }
    this.#high = (this.#high + finish(mix(mix(high, rest), weight))) | 0;
    this.#low = (this.#low + finish(mix(mix(low, weight), rest))) | 0;
    this.#count += 1;
  }

  get value(): number {
    return ((this.#high ^ this.#count) >>> 0) * 2 ** 21 + (this.#low >>> 11);
  }
}

const scratch = new RealServersDigest();
const bytes = new Uint8Array(16);
const view = new DataView(bytes.buffer);
const numbers = { isIpv6: false, words: new Uint32Array(4), port: 0, forwardingCode: 0, weight: 0 };

/** The digest that the file must have for these real servers. */
export const digestOf = (servers: Iterable<RealServer>): number => {
  scratch.reset();
  for (const { address, port, forwarding, weight } of servers) {
    numbers.isIpv6 = familyOf(address) === 'IPv6';
    writeIp(address, bytes);
    const length = numbers.isIpv6 ? 4 : 1;
    for (let index = 0; index < length; index += 1) numbers.words[index] = view.getUint32(index * 4);
    numbers.port = port;
    numbers.forwardingCode = forwardingCodes[forwarding];
    numbers.weight = weight;
    scratch.add(numbers);
  }
  return scratch.value;
};
