import type { Brand } from '../base/brand.js';
import type { Family, IpAddress } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';

/**
 * A 32-bit register of the virtual machine that runs the rules, 0 to 15 (NFT_REG32_00 is 0). An IPv6 address takes four
 * consecutive ones, every other value one.
 */
export type Register = number;

/** What happens next to a packet; `chain` is another chain of the same table. */
export type Verdict =
  | { readonly verdict: 'accept' | 'drop' | 'continue' | 'return' }
  | { readonly verdict: 'jump' | 'goto'; readonly chain: string };

/** A number is written in the machine's byte order (marks, states), bytes as they are (packet fields). */
export type RegisterValue = number | Uint8Array;

/** One expression of a rule (include/uapi/linux/netfilter/nf_tables.h). An expression that does not match ends the rule. */
export type Expression =
  | {
      readonly kind: 'payload';
      readonly base: 'network' | 'transport';
      /** Bytes. */
      readonly offset: number;
      readonly length: number;
      readonly to: Register;
    }
  | {
      readonly kind: 'meta';
      readonly key:
        | 'mark'
        | 'priority'
        | 'protocol'
        | 'l4proto'
        | 'iifname'
        | 'oifname'
        | 'iif'
        | 'oif'
        | 'random';
      readonly to: Register;
    }
  | { readonly kind: 'meta-set'; readonly key: 'mark' | 'priority'; readonly from: Register }
  | { readonly kind: 'ct'; readonly key: 'state' | 'status' | 'mark'; readonly to: Register }
  | {
      /** The address type on this machine (RTN_*: 2 is local). */
      readonly kind: 'fib-type';
      readonly of: 'source' | 'destination';
      readonly to: Register;
    }
  | {
      /** to = (from & mask) ^ xor */
      readonly kind: 'bitwise';
      readonly from: Register;
      readonly to: Register;
      readonly mask: RegisterValue;
      readonly xor: RegisterValue;
    }
  | {
      readonly kind: 'compare';
      readonly operator: '==' | '!=' | '<' | '<=' | '>' | '>=';
      readonly from: Register;
      readonly value: RegisterValue;
    }
  | { readonly kind: 'immediate'; readonly to: Register; readonly value: RegisterValue }
  | {
      /** Matches if the key is in the set; `verdict-map`: takes the verdict of the map's element. */
      readonly kind: 'lookup' | 'verdict-map';
      readonly set: string;
      readonly from: Register;
      readonly inverted?: boolean;
    }
  /** Loads the packet mark of the map's element; does not match without one. */
  | { readonly kind: 'mark-map'; readonly set: string; readonly from: Register; readonly to: Register }
  | ({ readonly kind: 'verdict' } & Verdict)
  | {
      readonly kind: 'masquerade';
      readonly fullyRandom: boolean;
      /** Registers that hold the lowest and the highest port, two bytes each in network order. */
      readonly ports: { readonly from: Register; readonly to: Register } | undefined;
    }
  | { readonly kind: 'destination-nat'; readonly address: Register }
  | { readonly kind: 'reject'; readonly with: 'tcp-reset' | 'port-unreachable' }
  | { readonly kind: 'counter'; readonly packets: bigint; readonly bytes: bigint }
  /** An expression of another program that is unknown, or has unknown attributes; `content` distinguishes them. */
  | { readonly kind: 'unknown'; readonly name: string; readonly content: string };

export type BaseChainHookName = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** Where packets enter a chain. Lower priorities come first. */
export interface BaseChainHook {
  readonly type: 'filter' | 'nat' | 'route';
  readonly hook: BaseChainHookName;
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
}

export interface Rule {
  readonly expressions: readonly Expression[];
  /** Its purpose, shown by nft; at most 127 bytes. */
  readonly comment: string | undefined;
}

export interface Chain {
  readonly name: string;
  /** Undefined: entered only from other chains. */
  readonly hook: BaseChainHook | undefined;
  readonly rules: readonly Rule[];
}

export type KeyField = 'address' | 'protocol' | 'port' | 'mark';

/** A set or, where `verdicts`, a map from keys to verdicts, without its elements: there may be a hundred thousand. */
export interface SetDeclaration {
  readonly name: string;
  /** The fields of a key; addresses are of the table's family. */
  readonly key: readonly KeyField[];
  readonly verdicts: boolean;
  /** A map from keys to packet marks. */
  readonly marks?: boolean;
  readonly comment: string;
}

/** A table without the elements of its sets. */
export interface TableDeclaration {
  readonly family: Family;
  readonly name: string;
  readonly sets: readonly SetDeclaration[];
  readonly chains: readonly Chain[];
}

export type KeyValue = IpAddress | Protocol | number;

/** `IPv4 services 10.96.0.1 . TCP . 443`: family, set and fields of an element. */
export type ElementKey = Brand<string, 'ElementKey'>;

/** An element of one of our sets. */
export interface SetElement {
  readonly key: ElementKey;
  readonly family: Family;
  readonly set: string;
  readonly fields: readonly KeyValue[];
  /** In a map: the chain that the packet goes to (`goto`). */
  readonly chain: string | undefined;
  /** In a map of packet marks; part of the element's identity, so that another mark is another element. */
  readonly mark?: number | undefined;
  /** Kept with the element for people and the next process, shown by nft; at most 127 bytes. Not part of the element's identity. */
  readonly comment?: string | undefined;
}

export const setElement = (
  family: Family,
  set: string,
  fields: readonly KeyValue[],
  chain?: string,
): SetElement => ({
  key: `${family} ${set} ${fields.join(' . ')}` as ElementKey,
  family,
  set,
  fields,
  chain,
});

/** `IPv4 in-cluster 10.96.0.1 . TCP . 443 : 387256616`: an element of a map of packet marks. */
export const markElement = (
  family: Family,
  set: string,
  fields: readonly KeyValue[],
  mark: number,
): SetElement => {
  const element = setElement(family, set, fields);
  return { ...element, key: `${element.key} : ${mark}` as ElementKey, mark };
};

/** The name of the set in a key. */
export const setNameOfKey = (key: ElementKey): string => key.split(' ', 2)[1] ?? '';
