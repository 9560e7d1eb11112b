import type { IpvsClient } from '../../kernel/ipvs/client.js';
import type { Outcome } from '../../model/operation.js';
import { virtualServerKey, type VirtualServerIdentity } from '../../model/virtual-server.js';
import { BaseError, messageOf } from '../../base/errors.js';
import { remedyText, type Remedy } from '../../doctor/remedy.js';
import { NetlinkError, ProtocolError } from '../../netlink/errors.js';
import { inIdentityOrder } from '../../plan/output/sort-order.js';
import { ignoreOutputErrors } from '../output/standard-output.js';

/** Errors of a kernel without IPVS, nftables, nftables for a family, or ipset. */
const unsupportedErrnos: readonly string[] = [
  'ENOENT',
  'EPROTONOSUPPORT',
  'EOPNOTSUPP',
  'EAFNOSUPPORT',
  'EINVAL',
];

/** Undefined where the kernel does not support the operation. */
export const ifSupported = async <T>(operation: () => T | Promise<T>): Promise<T | undefined> => {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof NetlinkError && unsupportedErrnos.includes(error.errno)) return undefined;
    throw error;
  }
};

const isPermissionDenied = ({ errno }: NetlinkError): boolean => errno === 'EPERM' || errno === 'EACCES';

/** The list, or the obstacle that it cannot be read. Rejects for a missing capability, which affects every list. */
export const listOrObstacle = async <T>(what: string, list: () => Promise<T>): Promise<T | Obstacle> => {
  try {
    return await list();
  } catch (error) {
    if (!(error instanceof NetlinkError || error instanceof ProtocolError)) throw error;
    if (error instanceof NetlinkError && isPermissionDenied(error)) throw error;
    return { what, obstacle: messageOf(error) };
  }
};

/** The virtual servers of all programs in print order; none without IPVS. */
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

/** An object that cannot be removed. */
export interface Obstacle {
  readonly what: string;
  /** Why not; a dry run reports it too. */
  readonly obstacle: string;
  readonly remedy?: Remedy;
}

/** An object to remove. */
export type Removal =
  | Obstacle
  | {
      readonly what: string;
      /** Resolves to undefined, or to the reason why the object cannot be removed. */
      readonly remove: () => Promise<string | undefined>;
    };

/** `absentErrnos`: errors of a kernel that no longer has the object. */
export const failureReason = (
  outcome: Outcome | undefined,
  absentErrnos: readonly string[],
): string | undefined => {
  if (outcome === undefined || outcome.status === 'unknown') return 'the kernel did not answer. Try again.';
  return outcome.status === 'applied' || absentErrnos.includes(outcome.errno) ? undefined : outcome.message;
};

export type CleanupFormat = 'text' | 'json';

/** Removes objects, or only reports them in a dry run: as text one line each, as JSON all at the end. */
export class RemovalReport {
  readonly #removed: string[] = [];
  readonly #failed: { readonly what: string; readonly reason: string; readonly remedy?: Remedy }[] = [];
  readonly #notes: string[] = [];

  constructor(
    private readonly dryRun: boolean,
    private readonly format: CleanupFormat,
  ) {
    ignoreOutputErrors();
  }

  /** Resolves to the number of objects that remain, or would remain. */
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
        const remedy = 'remedy' in removal ? removal.remedy : undefined;
        this.#failed.push({ what, reason, ...(remedy === undefined ? {} : { remedy }) });
        process.stderr.write(
          `kube-ipvs: ${this.dryRun ? 'cannot' : 'could not'} remove ${what}: ${reason}${remedy === undefined ? '' : ` ${remedyText([remedy])}`}\n`,
        );
      }
    }
    return remaining;
  }

  /** A failure does not stop the removals after it. */
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

  /** What was removed, or would be. */
  get removed(): readonly string[] {
    return this.#removed;
  }

  /** Printed on standard error at once. */
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
