import type { IpvsClient } from '../../kernel/ipvs/client.js';
import type { Outcome } from '../../model/operation.js';
import { virtualServerKey, type VirtualServerIdentity } from '../../model/virtual-server.js';
import { BaseError, messageOf } from '../../base/errors.js';
import { NetlinkError, ProtocolError } from '../../netlink/errors.js';
import { inIdentityOrder } from '../../plan/output/sort-order.js';
import { ignoreOutputErrors } from '../output/standard-output.js';

/** What a kernel answers that lacks IPVS, nftables, nftables for a family, or ipset. */
const unsupportedErrnos: readonly string[] = [
  'ENOENT',
  'EPROTONOSUPPORT',
  'EOPNOTSUPP',
  'EAFNOSUPPORT',
  'EINVAL',
];

/** Undefined where the kernel lacks what is asked for, and so has nothing of it. */
export const ifSupported = async <T>(operation: () => T | Promise<T>): Promise<T | undefined> => {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof NetlinkError && unsupportedErrnos.includes(error.errno)) return undefined;
    throw error;
  }
};

const isPermissionDenied = ({ errno }: NetlinkError): boolean => errno === 'EPERM' || errno === 'EACCES';

/** What `find` finds, or that it cannot be listed, which does not keep other things. A missing right is about all of them: it rejects. */
export const listOrObstacle = async <T>(what: string, list: () => Promise<T>): Promise<T | Obstacle> => {
  try {
    return await list();
  } catch (error) {
    if (!(error instanceof NetlinkError || error instanceof ProtocolError)) throw error;
    if (error instanceof NetlinkError && isPermissionDenied(error)) throw error;
    return { what, obstacle: messageOf(error) };
  }
};

/** Everybody's virtual servers, in the order in which tables are printed; none where there is no IPVS. */
export const virtualServersInOrder = async (
  ipvs: IpvsClient | undefined,
): Promise<readonly VirtualServerIdentity[]> =>
  inIdentityOrder(
    ((await ipvs?.virtualServers()) ?? []).map(({ identity }) => identity),
    (identity) => identity,
  );

/** `TCP 10.96.0.10:80, UDP 10.96.0.10:53`. */
export const serverList = (servers: readonly VirtualServerIdentity[]): string =>
  servers.map(virtualServerKey).join(', ');

/** Something that stays. */
export interface Obstacle {
  readonly what: string;
  /** Why it can't be removed, known beforehand: a dry run says so too. */
  readonly obstacle: string;
}

/** Something that is to go: what it is, and how it goes. */
export type Removal =
  | Obstacle
  | {
      readonly what: string;
      /** Undefined: it has gone. Otherwise why it can't be removed. */
      readonly remove: () => Promise<string | undefined>;
    };

/** `gone`: errno names that mean that there is nothing to remove any more. */
export const failureReason = (
  outcome: Outcome | undefined,
  absentErrnos: readonly string[],
): string | undefined => {
  if (outcome === undefined || outcome.status === 'unknown') return 'the kernel gave no answer; try again';
  return outcome.status === 'applied' || absentErrnos.includes(outcome.errno) ? undefined : outcome.message;
};

export type CleanupFormat = 'text' | 'json';

/** Removes things, or says that it would, and tells of each: a line at once, or all as one object at the end. */
export class RemovalReport {
  readonly #removed: string[] = [];
  readonly #failed: { readonly what: string; readonly reason: string }[] = [];
  readonly #notes: string[] = [];

  constructor(
    private readonly dryRun: boolean,
    private readonly format: CleanupFormat,
  ) {
    ignoreOutputErrors();
  }

  /** Gives how many are left, or would be. */
  async perform(removals: readonly Removal[]): Promise<number> {
    let remaining = 0;
    for (const removal of removals) {
      const { what } = removal;
      const reason = await this.#remove(removal);
      if (reason === undefined) {
        this.#removed.push(what);
        this.#print(`${this.dryRun ? 'would remove' : 'removed'} ${what}`);
      } else {
        remaining += 1;
        this.#failed.push({ what, reason });
        process.stderr.write(
          `kube-ipvs: ${this.dryRun ? 'cannot' : 'could not'} remove ${what}: ${reason}\n`,
        );
      }
    }
    return remaining;
  }

  /** What cannot be removed does not keep what comes after it. */
  async #remove(removal: Removal): Promise<string | undefined> {
    if ('obstacle' in removal) return removal.obstacle;
    if (this.dryRun) return undefined;
    try {
      return await removal.remove();
    } catch (error) {
      if (!(error instanceof BaseError)) throw error;
      return messageOf(error);
    }
  }

  note(line: string): void {
    this.#notes.push(line);
    this.#print(line);
  }

  /** Something that people should know before they believe the rest. */
  warn(line: string): void {
    this.#notes.push(line);
    process.stderr.write(`kube-ipvs: warning: ${line}\n`);
  }

  end(): void {
    if (this.format !== 'json') return;
    const removed = this.dryRun ? { wouldRemove: this.#removed } : { removed: this.#removed };
    const report = { ...removed, failed: this.#failed, notes: this.#notes };
    process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  }

  #print(line: string): void {
    if (this.format === 'text') process.stdout.write(`${line}\n`);
  }
}
