import type { Flow, FlowQuery } from '../../model/flow.js';
import type { Outcome } from '../../model/operation.js';
import { Connection, type SentCounts } from '../../netlink/connection.js';
import type { Reopened } from '../../netlink/reopening-channel.js';
import { conntrackShapeOf } from './attributes.js';
import { deleteFlowRequest, flowFrom, flowPattern, listFlowsRequest } from './convert.js';

const isPresent = <T>(value: T | undefined): value is T => value !== undefined;

/** An entry that is not there is as deleted as it can be. */
const treatMissingAsApplied = (outcome: Outcome): Outcome =>
  outcome.status === 'failed' && outcome.errno === 'ENOENT' ? { status: 'applied' } : outcome;

/**
 * Connection tracking of the network namespace that the process was in when it was opened. Its methods reject with
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

  /** The listener is called when its socket was of no use any more and another one was opened. */
  onReopened(listener: (reopened: Reopened) => void): void {
    this.#connection.onReopened(listener);
  }

  /** The kernel walks its whole table for it, whatever the query. */
  async flows(query: FlowQuery): Promise<readonly Flow[]> {
    return this.#connection
      .dump(listFlowsRequest(query), flowPattern(query))
      .map((message) => flowFrom(message, query))
      .filter(isPresent);
  }

  /** One outcome for each, in their order. A flow that has gone meanwhile is `applied`. */
  async delete(flows: readonly Flow[]): Promise<readonly Outcome[]> {
    const outcomes = await this.#connection.batch(flows, deleteFlowRequest);
    return outcomes.map(treatMissingAsApplied);
  }

  close(): void {
    this.#connection.close();
  }
}
