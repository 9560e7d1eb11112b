import { Yielder } from '../../base/async.js';
import { families } from '../../base/ip.js';
import { RealServersDigest } from '../../kernel/ipvs/table-file/digest.js';
import {
  showsSettings,
  type FilePersistence,
  type FileSettings,
  type TickRate,
} from '../../kernel/ipvs/table-file/settings.js';
import {
  readTableFile,
  type TableFile,
  type TableFileReader,
} from '../../kernel/ipvs/table-file/table-file.js';
import {
  addressOf,
  keyOfLine,
  space,
  type RealServerLine,
  type VirtualServerLine,
} from '../../kernel/ipvs/table-file/table-parser.js';
import {
  sameVirtualServer,
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { ObservedVirtualServer } from '../state/observed-server.js';
import { sameRealServers, tryReadVirtualServer, type VirtualServerSnapshot } from './kernel-reader.js';
import { maximumTurnMilliseconds, type Findings, type RoundParts } from './round.js';
import type { TablePages } from './table-pages.js';

/** A virtual server of which the file shows something else than what is known of it. */
interface Suspect {
  readonly identity: VirtualServerIdentity;
  /** What the file shows of its persistence. */
  readonly persistence?: FilePersistence | undefined;
}

const withMark = (fwmark: number): readonly VirtualServerIdentity[] =>
  families.map((family) => ({ by: 'fwmark', fwmark, family }));

/**
 * One round of a resync by the kernel's table file. A difference is only a suspicion, because the file may pass over or repeat what
 * changes meanwhile, and shows another form of some settings: netlink confirms each.
 */
export class FileRound implements TableFileReader {
  readonly #digest = new RealServersDigest();
  readonly #turns = new Yielder(maximumTurnMilliseconds);
  /** How many virtual servers have each firewall mark. */
  readonly #marks = new Map<number, number>();
  #suspects: Suspect[] = [];
  /** The virtual server whose lines are read, if kube-ipvs owns it. */
  #known: ObservedVirtualServer | undefined;
  #settings: FileSettings | undefined;

  constructor(
    private readonly parts: RoundParts,
    private readonly rate: TickRate,
    private readonly pages: TablePages,
    private readonly findings: Findings,
  ) {}

  /** Rejects with a TableFileError if the file cannot be used. */
  async run(file: TableFile): Promise<void> {
    this.pages.beginRound();
    await readTableFile(file, this);
    this.#endVirtualServer();
    this.pages.endRound();
    this.#suspectMissing();
    for (const [mark, count] of this.#marks) this.#compareMark(mark, count);
    await this.#confirm();
  }

  /** Compares virtual servers with netlink, which also tells what the file does not show. */
  async compare(identities: Iterable<VirtualServerIdentity>): Promise<void> {
    for (const identity of identities) this.#suspects.push({ identity });
    await this.#confirm();
  }

  passesOver(page: Buffer | undefined): boolean {
    const isCut = page === undefined || page[0] === space;
    if (isCut) this.pages.cut();
    else this.#endVirtualServer();
    return this.pages.begin(isCut ? undefined : page);
  }

  afterPiece(): Promise<void> {
    return this.#confirm();
  }

  virtualServer(line: VirtualServerLine): void {
    this.#endVirtualServer();
    if (line.protocol === 'FWM') return this.#marked(line);
    const key = keyOfLine(line);
    const known = this.parts.state.virtualServer(key);
    if (known === undefined) this.#unknown(key, line.protocol, line);
    else this.#begin(known, line);
  }

  #begin(known: ObservedVirtualServer, { settings }: VirtualServerLine): void {
    this.#known = known;
    this.#settings = settings;
    this.#digest.reset();
  }

  /** A mark that only one virtual server of ours is known to have is that one; two are told apart by netlink. */
  #marked(line: VirtualServerLine): void {
    // Those with the same mark are counted in each round.
    this.pages.spoil();
    const [mark = 0] = line.words;
    const count = (this.#marks.get(mark) ?? 0) + 1;
    this.#marks.set(mark, count);
    const [known, another] = withMark(mark).filter((identity) => this.#isKnown(identity));
    const ours = known && this.parts.state.virtualServer(virtualServerKey(known));
    if (ours !== undefined && another === undefined && count === 1) this.#begin(ours, line);
  }

  #isKnown(identity: VirtualServerIdentity): boolean {
    const { state } = this.parts;
    const key = virtualServerKey(identity);
    return state.virtualServers.foreign.has(key) || state.virtualServer(key) !== undefined;
  }

  realServer(line: RealServerLine): void {
    if (this.#known !== undefined) this.#digest.add(line);
  }

  #endVirtualServer(): void {
    const known = this.#known;
    this.#known = undefined;
    if (known === undefined || this.#settings === undefined) return;
    const { server } = known;
    if (showsSettings(this.#settings, server, this.rate) && this.#digest.value === known.digest)
      return this.pages.add(known);
    this.pages.spoil();
    this.findings.listed.add(server.key);
    this.#suspects.push({ identity: server.identity, persistence: this.#settings.persistence });
  }

  /** Nothing but its existence matters of a foreign virtual server. */
  #unknown(
    key: VirtualServerKey,
    protocol: Exclude<VirtualServerLine['protocol'], 'FWM'>,
    line: VirtualServerLine,
  ): void {
    this.pages.spoil();
    const identity = { by: 'address', protocol, address: addressOf(line), port: line.port } as const;
    const { foreign } = this.parts.state.virtualServers;
    if (foreign.has(key) && !this.parts.isOurs(identity)) this.findings.foreign.set(key, identity);
    else this.#suspects.push({ identity });
  }

  #suspectMissing(): void {
    const { state } = this.parts;
    const { listed, foreign } = this.findings;
    for (const known of state.virtualServers.observedServers()) {
      if (this.pages.show(known) || listed.has(known.server.key)) continue;
      this.#suspects.push({ identity: known.server.identity });
    }
    for (const [key, identity] of state.virtualServers.foreign) {
      if (foreign.has(key)) continue;
      if (identity.by === 'address') this.#suspects.push({ identity });
      else if (!this.#marks.has(identity.fwmark)) this.#marks.set(identity.fwmark, 0);
    }
  }

  /** The file does not tell the family of a mark: as many virtual servers as are known count as those. */
  #compareMark(fwmark: number, count: number): void {
    const { foreign } = this.parts.state.virtualServers;
    const identities = withMark(fwmark);
    const known = identities.filter((identity) => this.#isKnown(identity));
    if (known.length !== count) for (const identity of identities) this.#suspects.push({ identity });
    else
      for (const identity of known) {
        const key = virtualServerKey(identity);
        if (foreign.has(key)) this.findings.foreign.set(key, identity);
      }
  }

  async #confirm(): Promise<void> {
    await this.#turns.yieldIfDue();
    const suspects = this.#suspects;
    this.#suspects = [];
    for (const suspect of suspects) {
      await this.#read(suspect);
      await this.#turns.yieldIfDue();
    }
  }

  async #read({ identity, persistence: shown }: Suspect): Promise<void> {
    const { ipvs, state, onUnreadable } = this.parts;
    const key = virtualServerKey(identity);
    const revision = state.virtualServers.revision(key);
    const found = await tryReadVirtualServer(ipvs, identity, onUnreadable);
    if (found === 'unreadable') return this.#unreadable(key, identity);
    const seconds = found?.server.persistence?.seconds;
    if (shown !== undefined && seconds !== undefined) this.rate.learn(shown, seconds);
    if (found === undefined) this.#absent(key, identity, revision);
    else this.#present(key, found, revision);
  }

  /** A foreign virtual server stays known, as it exists. */
  #unreadable(key: VirtualServerKey, identity: VirtualServerIdentity): void {
    const isForeign = this.parts.state.virtualServers.foreign.has(key);
    if (isForeign) this.findings.foreign.set(key, identity);
  }

  #absent(key: VirtualServerKey, identity: VirtualServerIdentity, revision: number): void {
    const { virtualServers } = this.parts.state;
    if (virtualServers.observed(key) === undefined) return;
    virtualServers.read(identity, undefined, { isAdopted: true, revision });
    this.findings.drifted.add(key);
  }

  #present(key: VirtualServerKey, found: VirtualServerSnapshot, revision: number): void {
    const { virtualServers } = this.parts.state;
    const { listed, foreign, drifted } = this.findings;
    const known = virtualServers.observed(key);
    const { identity } = found.server;
    if (known === undefined && !this.#isOurs(key, identity)) return void foreign.set(key, identity);
    listed.add(key);
    const isKnown =
      known !== undefined &&
      sameVirtualServer(known.server, found.server) &&
      sameRealServers(known.realServers, found.realServers);
    if (isKnown) return;
    virtualServers.read(identity, found, { isAdopted: true, revision });
    drifted.add(key);
  }

  #isOurs(key: VirtualServerKey, identity: VirtualServerIdentity): boolean {
    return this.parts.state.virtualServers.mayBeOurs(key) || this.parts.isOurs(identity);
  }
}
