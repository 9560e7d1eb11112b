import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { ApiServer } from '../support/api-server.js';
import type { ApiObject } from '../support/api-objects.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, runLine, savedTable } from '../support/lab-guest.js';
import { kubeconfigFor } from '../support/kubeconfig.js';

// Every golden capture, driven through the daemon one after the other, so that each is also a transition from the one before.

const golden = 'test/fixtures/golden';
const scratch = mkdtempSync(join(tmpdir(), 'golden-'));

const textOf = (...path: string[]): string => readFileSync(join(golden, ...path), 'utf8');
const objectsOf = (...path: string[]): readonly ApiObject[] => JSON.parse(textOf(...path)).items;

const configuration = (scheduler: string): string => {
  const file = join(scratch, `${scheduler}.yaml`);
  writeFileSync(
    file,
    `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
hostnameOverride: uml1
clusterCIDR: 10.128.0.0/9,fd00:10:128::/64
ipvs: {scheduler: ${scheduler}}
`,
  );
  return file;
};

const kubeconfig = (url: string): string => {
  const file = join(scratch, 'kubeconfig');
  writeFileSync(file, kubeconfigFor(url));
  return file;
};

const expectCase = async (scheduler: string, name: string): Promise<void> => {
  const table = textOf(scheduler, name, 'ipvs.txt').trim().split('\n').toSorted();
  const { dummyAddresses } = JSON.parse(textOf(scheduler, name, 'expected.json'));
  await eventually(() => {
    assert.deepEqual(savedTable(), table);
    assert.deepEqual(addressesOf('kube-ipvs0'), dummyAddresses.toSorted());
  });
};

before(() => {
  // The node of the captures: one interface with these addresses beside loopback.
  runLine('ip link add eth0 type veth peer name eth0-peer');
  runLine('ip address add 10.200.0.2/24 dev eth0');
  runLine('ip address add fd00:200::2/64 dev eth0 nodad');
  runLine('ip link set eth0 up');
});

for (const scheduler of ['rr', 'mh']) {
  const names = readdirSync(join(golden, scheduler));

  test(`${scheduler}: every golden case after the other, from manifests`, async () => {
    const folder = mkdtempSync(join(scratch, 'manifests-'));
    copyFileSync(join(golden, 'base.json'), join(folder, 'base.json'));
    await using daemon = new DaemonProcess([`--config=${configuration(scheduler)}`, `--source=${folder}`]);
    for (const name of names) {
      writeFileSync(join(scratch, 'next.json'), textOf(scheduler, name, 'objects.json'));
      renameSync(join(scratch, 'next.json'), join(folder, 'objects.json'));
      await expectCase(scheduler, name).catch((error: unknown) => {
        throw new Error(`${scheduler}/${name}\n${daemon.log}`, { cause: error });
      });
    }
    assert.equal(await daemon.stop(), 0);
  });

  test(`${scheduler}: every golden case after the other, from an API server`, async () => {
    await using server = await ApiServer.start();
    server.put(...objectsOf('base.json'));
    await using daemon = new DaemonProcess([
      `--config=${configuration(scheduler)}`,
      `--master=${server.url}`,
      `--kubeconfig=${kubeconfig(server.url)}`,
    ]);
    let present: readonly ApiObject[] = [];
    for (const name of names) {
      const objects = objectsOf(scheduler, name, 'objects.json');
      const keyOf = ({ kind, metadata }: ApiObject): string =>
        `${kind} ${metadata.namespace}/${metadata.name}`;
      const kept = new Set(objects.map(keyOf));
      for (const gone of present.filter((object) => !kept.has(keyOf(object)))) {
        server.delete(gone.kind, `${gone.metadata.namespace}/${gone.metadata.name}`);
      }
      server.put(...objects);
      present = objects;
      await expectCase(scheduler, name).catch((error: unknown) => {
        throw new Error(`${scheduler}/${name}\n${daemon.log}`, { cause: error });
      });
    }
    assert.equal(await daemon.stop(), 0);
  });
}
