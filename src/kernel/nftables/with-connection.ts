import { Connection } from '../../netlink/connection.js';
import { nftablesShapeOf } from './attributes.js';

/** A connection for as long as `use` takes: for work outside of a client that is kept. */
export const withConnection = <T>(use: (connection: Connection) => T): T => {
  const connection = Connection.open('netfilter');
  try {
    connection.knowShapes(nftablesShapeOf);
    return use(connection);
  } finally {
    connection.close();
  }
};
