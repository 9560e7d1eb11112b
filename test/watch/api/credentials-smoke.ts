import { ApiClient } from '../../../src/watch/api/api-client.js';
import { loadCredentials, type CredentialOptions } from '../../../src/watch/api/credentials.js';

/** Lists Services with the credentials that the arguments say (JSON) and prints the outcome: run as it is, and bundled. */
const options = JSON.parse(process.argv[2] ?? '{}') as CredentialOptions;
using client = new ApiClient(loadCredentials(options), { protobuf: false });
const answer = await client.open('/api/v1/services?limit=1', {
  signal: new AbortController().signal,
  milliseconds: 5_000,
});
const pieces: Buffer[] = [];
for await (const piece of answer) pieces.push(piece);
const list = JSON.parse(Buffer.concat(pieces).toString('utf8')) as { kind: string };
console.log(`${list.kind} ${Math.round(process.memoryUsage.rss() / 1024 / 1024)} MB`);
