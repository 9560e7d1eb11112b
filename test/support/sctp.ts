import { fileURLToPath } from 'node:url';

/** What `perl` is to run where SCTP is spoken; it tells its commands. */
export const sctpProgram = fileURLToPath(new URL('../../../test/traffic/sctp.pl', import.meta.url));
