import { execFileSync } from 'node:child_process';
import assert from 'node:assert/strict';
import type { ApiObject } from '../support/api-objects.js';
import { thisNode } from '../support/objects.js';

interface Table {
  readonly virtualServers: Readonly<
    Record<
      string,
      {
        readonly scheduler: string;
        readonly persistent?: number;
        readonly flags?: readonly string[];
        readonly realServers: Readonly<Record<string, { weight: number; forwarding: string }>>;
      }
    >
  >;
  readonly dummyAddresses: readonly string[];
}

const program = 'dist/kube-ipvs.js';

const jsonOf = (args: readonly string[], input = ''): Table => {
  const options = { input, encoding: 'utf8', maxBuffer: 1 << 28 } as const;
  return JSON.parse(execFileSync(process.execPath, [program, ...args], options)) as Table;
};

/** What counts of a table: what `render` tells. A daemon's names and what is counted are beside it. */
const wantedPart = ({ virtualServers, dummyAddresses }: Table): object => ({
  virtualServers: Object.fromEntries(
    Object.entries(virtualServers).map(([key, server]) => [
      key,
      {
        scheduler: server.scheduler,
        persistent: server.persistent,
        flags: server.flags,
        realServers: Object.fromEntries(
          Object.entries(server.realServers).map(([real, { weight, forwarding }]) => [
            real,
            { weight, forwarding },
          ]),
        ),
      },
    ]),
  ),
  dummyAddresses: dummyAddresses.toSorted(),
});

/** Fails where the kernel's table is not what `render` says of the objects, foreign virtual servers aside. */
export const assertAsRendered = (
  objects: readonly ApiObject[],
  scheduler: string,
  foreign: readonly string[],
): void => {
  const manifest = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  const flags = ['-o', 'json', `--hostname-override=${thisNode}`, `--ipvs-scheduler=${scheduler}`];
  const rendered = jsonOf(['render', '-f', '-', ...flags], manifest);
  const { virtualServers, dummyAddresses } = jsonOf(['dump', '-o', 'json']);
  for (const key of foreign) assert.ok(virtualServers[key] !== undefined, `the foreign ${key} is gone`);
  const ours = Object.entries(virtualServers).filter(([key]) => !foreign.includes(key));
  assert.deepEqual(
    wantedPart({ virtualServers: Object.fromEntries(ours), dummyAddresses }),
    wantedPart(rendered),
  );
};
