import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DesiredState } from '../../src/plan/desired-state.js';
import { render } from '../../src/plan/render/render.js';
import { renderContext } from '../../src/plan/render/render-context.js';
import { ipvsadmText, ipvsTableJson, type IpvsTableJson } from '../../src/plan/output/ipvs-table-formats.js';
import { nodeFacts, settings } from '../support/objects.js';
import { readObjects } from '../support/read-objects.js';

const root = fileURLToPath(new URL('../../../test/fixtures/golden', import.meta.url));
const read = (...path: readonly string[]): string => readFileSync(join(root, ...path), 'utf8');

const itemsOf = (text: string): readonly object[] =>
  (JSON.parse(text) as { readonly items: readonly object[] }).items;

const renderCase = (scheduler: string, name: string): DesiredState => {
  const { services, slices, nodes } = readObjects([
    ...itemsOf(read('base.json')),
    ...itemsOf(read(scheduler, name, 'objects.json')),
  ]);
  const [node] = nodes;
  const addresses = ['lo 127.0.0.1/8', 'lo ::1/128', 'eth0 10.200.0.2/24', 'eth0 fd00:200::2/64'];
  const context = renderContext(nodeFacts(addresses, node?.zone, node?.name), settings({ scheduler }));
  const desired = new DesiredState();
  for (const service of services) {
    const own = slices.filter((slice) => slice.service === service.key);
    desired.replace(service.key, render(service, own, context));
  }
  return desired;
};

/** Only the keys of the contract, in a fixed order, because a table may have more. */
const canonical = (table: IpvsTableJson): object => ({
  virtualServers: Object.fromEntries(
    Object.entries(table.virtualServers).map(([key, server]) => [
      key,
      {
        scheduler: server.scheduler,
        persistent: server.persistent ?? null,
        flags: [...(server.flags ?? [])].toSorted(),
        realServers: Object.fromEntries(
          Object.entries(server.realServers).map(([address, { weight, forwarding }]) => [
            address,
            { weight, forwarding },
          ]),
        ),
      },
    ]),
  ),
  dummyAddresses: table.dummyAddresses.toSorted(),
});

const lines = (text: string): readonly string[] => text.trim().split('\n').toSorted();

const cases = ['rr', 'mh'].flatMap((scheduler) =>
  readdirSync(join(root, scheduler)).map((name) => [scheduler, name] as const),
);

test('every golden case is included', () => {
  assert.equal(cases.length, 31);
});

for (const [scheduler, name] of cases)
  test(`${scheduler}/${name}: the table matches kube-proxy's, and the text matches ipvsadm's`, () => {
    const desired = renderCase(scheduler, name);
    const tables = [...desired.virtualServers()];
    const expected = JSON.parse(read(scheduler, name, 'expected.json')) as IpvsTableJson;
    assert.deepEqual(canonical(ipvsTableJson(tables, desired.boundVips())), canonical(expected));
    assert.deepEqual(lines(ipvsadmText(tables)), lines(read(scheduler, name, 'ipvs.txt')));
    assert.deepEqual(
      [...desired.fragments()].flatMap(({ problems }) => problems),
      [],
    );
  });
