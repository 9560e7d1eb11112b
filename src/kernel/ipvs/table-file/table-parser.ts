import { formatSocketAddress, ipFromBytes, type IpAddress } from '../../../base/ip.js';
import type { Protocol } from '../../../base/protocol.js';
import type { VirtualServerKey } from '../../../model/virtual-server.js';
import { forwardingCodes, type RealServerNumbers } from './digest.js';
import { parseSettings, type FileSettings } from './settings.js';
import { TableFileError } from './table-file-error.js';

/** The values of a line are valid until the visitor returns. */
interface Line {
  readonly isIpv6: boolean;
  /** The address in network order: one word of IPv4, four of IPv6. */
  readonly words: Uint32Array;
  readonly port: number;
}

export interface VirtualServerLine extends Line {
  /** `FWM`: by a firewall mark, which is the first word; the file does not tell its family. */
  readonly protocol: Protocol | 'FWM';
  readonly settings: FileSettings;
}

export interface RealServerLine extends Line, RealServerNumbers {
  readonly activeConnections: number;
  readonly inactiveConnections: number;
}

/** Called for each line: for a virtual server, then for its real servers. */
export interface TableVisitor {
  virtualServer(line: VirtualServerLine): void;
  realServer(line: RealServerLine): void;
}

const addressBytes = new Uint8Array(16);
const addressView = new DataView(addressBytes.buffer);

export const addressOf = ({ isIpv6, words }: Line): IpAddress => {
  const [first = 0] = words;
  if (!isIpv6)
    return `${first >>> 24}.${(first >>> 16) & 255}.${(first >>> 8) & 255}.${first & 255}` as IpAddress;
  for (let index = 0; index < 4; index += 1) addressView.setUint32(index * 4, words[index] ?? 0);
  return ipFromBytes(addressBytes);
};

/** The key of a virtual server by address. */
export const keyOfLine = (line: VirtualServerLine): VirtualServerKey =>
  `${line.protocol} ${formatSocketAddress(addressOf(line), line.port)}` as VirtualServerKey;

const headerLines = [
  /^IP Virtual Server version \d+\.\d+\.\d+ \(size=\d+\)$/,
  /^Prot LocalAddress:Port Scheduler Flags$/,
  /^ {2}-> RemoteAddress:Port Forward Weight ActiveConn InActConn$/,
] as const;

export const newline = 10;
export const space = 32;
const minus = 45;
const colon = 58;
const openBracket = 91;
const closeBracket = 93;

const hexDigits = new Int8Array(256).fill(-1);
for (const [digit, character] of Array.from('0123456789abcdef').entries()) {
  hexDigits[character.charCodeAt(0)] = digit;
  hexDigits[character.toUpperCase().charCodeAt(0)] = digit;
}

const arrow = Buffer.from('  -> ');

/** Words that begin with different letters, and what they mean. */
type Words<Meaning> = readonly (readonly [text: Buffer, meaning: Meaning])[];
const protocolWords: Words<VirtualServerLine['protocol']> = [
  [Buffer.from('TCP  '), 'TCP'],
  [Buffer.from('UDP  '), 'UDP'],
  [Buffer.from('SCTP  '), 'SCTP'],
  [Buffer.from('FWM  '), 'FWM'],
];
const forwardingWords: Words<number> = [
  [Buffer.from('Masq '), forwardingCodes.masquerade],
  [Buffer.from('Local '), forwardingCodes.local],
  [Buffer.from('Tunnel '), forwardingCodes.tunnel],
  [Buffer.from('Route '), forwardingCodes.direct],
];

/**
 * Parses /proc/net/ip_vs (ip_vs_info_seq_show in net/netfilter/ipvs/ip_vs_ctl.c) without an object for each line: the parser is the
 * line that visitors get. Throws a TableFileError where the format is another.
 */
export class TableParser implements VirtualServerLine, RealServerLine {
  protocol: VirtualServerLine['protocol'] = 'TCP';
  settings: FileSettings = { scheduler: '', onePacket: false, persistence: undefined };
  isIpv6 = false;
  readonly words = new Uint32Array(4);
  port = 0;
  forwardingCode = 0;
  weight = 0;
  activeConnections = 0;
  inactiveConnections = 0;
  readonly #settings = new Map<string, FileSettings>();
  #headersLeft: number = headerLines.length;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(private readonly visitor: TableVisitor) {}

  /** Whether the lines at the start of the file have been parsed. */
  get hasTitle(): boolean {
    return this.#headersLeft === 0;
  }

  /** Parses the complete lines among the bytes before `end`. Returns how many bytes they have. */
  parse(bytes: Buffer, end: number): number {
    this.#bytes = bytes;
    this.#at = 0;
    const last = end === 0 ? -1 : bytes.lastIndexOf(newline, end - 1);
    while (this.#at <= last) this.#line();
    return last + 1;
  }

  /** Checks that the file was not cut. `rest`: how many bytes no line took. */
  end(rest: number): void {
    if (this.#headersLeft > 0 || rest > 0) throw new TableFileError('ends within a line');
  }

  #line(): void {
    if (this.#headersLeft > 0) this.#header();
    else if (this.#bytes[this.#at] === space) this.#realServer();
    else this.#virtualServer();
  }

  #header(): void {
    const text = this.#restOfLine();
    const expected = headerLines[headerLines.length - this.#headersLeft];
    if (expected?.test(text) !== true) throw new TableFileError(`has the title ${JSON.stringify(text)}`);
    this.#headersLeft -= 1;
  }

  #virtualServer(): void {
    this.protocol = this.#word(protocolWords);
    if (this.protocol === 'FWM') {
      this.isIpv6 = false;
      this.port = 0;
      this.words[0] = this.#hex(8);
    } else this.#socketAddress();
    this.#expect(space);
    const text = this.#restOfLine();
    let settings = this.#settings.get(text);
    if (settings === undefined) {
      settings = parseSettings(text);
      this.#settings.set(text, settings);
    }
    this.settings = settings;
    this.visitor.virtualServer(this);
  }

  #realServer(): void {
    for (const byte of arrow) this.#expect(byte);
    this.#socketAddress();
    this.#skipSpaces();
    this.forwardingCode = this.#word(forwardingWords);
    this.weight = this.#decimal();
    this.activeConnections = this.#decimal();
    this.inactiveConnections = this.#decimal();
    this.#skipSpaces();
    this.#expect(newline);
    this.visitor.realServer(this);
  }

  /** `0A600001:0050`, `[fd00:0000:0000:0000:0000:0000:0000:0001]:0050` */
  #socketAddress(): void {
    this.isIpv6 = this.#bytes[this.#at] === openBracket;
    if (!this.isIpv6) this.words[0] = this.#hex(8);
    else {
      this.#at += 1;
      for (let index = 0; index < 4; index += 1) {
        const high = this.#hex(4);
        this.#expect(colon);
        this.words[index] = high * 0x10000 + this.#hex(4);
        this.#expect(index < 3 ? colon : closeBracket);
      }
    }
    this.#expect(colon);
    this.port = this.#hex(4);
  }

  #word<Meaning>(words: Words<Meaning>): Meaning {
    const at = this.#at;
    for (const [text, meaning] of words) {
      if (this.#bytes[at] !== text[0]) continue;
      for (const byte of text) this.#expect(byte);
      return meaning;
    }
    throw this.#unexpected(at);
  }

  #hex(digits: number): number {
    let value = 0;
    for (const end = this.#at + digits; this.#at < end; this.#at += 1) {
      const digit = hexDigits[this.#bytes[this.#at] ?? 0] ?? -1;
      if (digit < 0) throw this.#unexpected(this.#at);
      value = (value << 4) | digit;
    }
    return value >>> 0;
  }

  #decimal(): number {
    this.#skipSpaces();
    const start = this.#at;
    const isNegative = this.#bytes[start] === minus;
    if (isNegative) this.#at += 1;
    let value = 0;
    for (let digit = this.#digit(); digit >= 0; digit = this.#digit()) {
      value = value * 10 + digit;
      this.#at += 1;
    }
    if (this.#at === start + Number(isNegative)) throw this.#unexpected(start);
    return isNegative ? -value : value;
  }

  /** The decimal digit at the cursor; negative if there is none. */
  #digit(): number {
    const digit = (this.#bytes[this.#at] ?? 0) - 48;
    return digit <= 9 ? digit : -1;
  }

  #skipSpaces(): void {
    while (this.#bytes[this.#at] === space) this.#at += 1;
  }

  #expect(byte: number): void {
    if (this.#bytes[this.#at] !== byte) throw this.#unexpected(this.#at);
    this.#at += 1;
  }

  /** The line from the cursor on, which moves to the next line. */
  #restOfLine(): string {
    const end = this.#bytes.indexOf(newline, this.#at);
    const text = this.#bytes.toString('latin1', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  #unexpected(at: number): TableFileError {
    const start = at === 0 ? 0 : this.#bytes.lastIndexOf(newline, at - 1) + 1;
    const end = this.#bytes.indexOf(newline, start);
    const line = this.#bytes.toString('latin1', start, end === -1 ? start + 100 : end);
    return new TableFileError(`has the line ${JSON.stringify(line)}`);
  }
}
