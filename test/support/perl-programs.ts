import { fileURLToPath } from 'node:url';

// Programs for `perl`; their comments describe their commands. Perl starts in a fraction of the time of Node.js.

const program = (name: string): string =>
  fileURLToPath(new URL(`../../../test/traffic/${name}`, import.meta.url));

/** Sends requests over SCTP, which Node.js does not have, and answers them. */
export const sctpProgram = program('sctp.pl');

/** Sends requests over TCP and UDP. */
export const clientProgram = program('client.pl');
