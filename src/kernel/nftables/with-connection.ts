import { Connection } from '../../netlink/connection.js';
import { nftablesShapeOf } from './attributes.js';

export type OpenConnection = () => Connection;

const openNetfilter: OpenConnection = () => Connection.open('netfilter');

/** A connection for as long as `use` takes: for work outside of a client that is kept. */
export const withConnection = <T>(
  use: (connection: Connection) => T,
  open: OpenConnection = openNetfilter,
): T => {
  const connection = open();
  try {
    connection.registerShapes(nftablesShapeOf);
    return use(connection);
  } finally {
    connection.close();
  }
};
