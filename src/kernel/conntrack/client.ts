import type { Flow, FlowQuery } from '../../model/flow.js';
import type { Outcome } from '../../model/operation.js';
import { Connection, type SentCounts } from '../../netlink/connection.js';
import type { Reopened } from '../../netlink/reopening-channel.js';
import { conntrackShapeOf } from './attributes.js';
import { deleteFlowRequest, flowFrom, listFlowsRequest } from './convert.js';

/** An entry that does not exist counts as deleted. */
const treatMissingAsApplied = (outcome: Outcome): Outcome =>
  outcome.status === 'failed' && outcome.errno === 'ENOENT' ? { status: 'applied' } : outcome;

/**
 * Connection tracking of the network namespace that the process was in when the client was opened. Its methods reject with
 * NetlinkError (EINVAL where the kernel has no nf_conntrack_netlink) and ProtocolError.
 */
export class ConntrackClient {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
    connection.registerShapes(conntrackShapeOf);
  }

  /** A NetlinkError where the socket cannot be opened. */
  static open(connection: Connection = Connection.open('netfilter')): ConntrackClient {
    return new ConntrackClient(connection);
  }

  get sent(): SentCounts {
    return this.#connection.sent;
  }

  /** Calls the listener after a failed socket was replaced by another one. */
  onReopened(listener: (reopened: Reopened) => void): void {
    this.#connection.onReopened(listener);
  }

  /**
   * The kernel walks its whole table, whatever the query; the event loop gets turns meanwhile. A flow that begins or ends
   * meanwhile may be missing, and one may come twice.
   */
  async flows(query: FlowQuery): Promise<readonly Flow[]> {
    return this.#connection.dumpIncrementally(listFlowsRequest(query), (message) => flowFrom(message, query));
  }

  /** One outcome for each, in their order. A flow that has ended meanwhile is `applied`. */
  async delete(flows: readonly Flow[]): Promise<readonly Outcome[]> {
    const outcomes = await this.#connection.batch(flows, deleteFlowRequest);
    return outcomes.map(treatMissingAsApplied);
  }

  close(): void {
    this.#connection.close();
  }
}
