import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noBinding, vipBindingNames, type VipBinding } from '../../src/model/settings/vip-binding.js';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import { RtnetlinkClient } from '../../src/kernel/rtnetlink/client.js';
import { Connection } from '../../src/netlink/connection.js';
import type { Message } from '../../src/netlink/message.js';
import { DesiredState } from '../../src/plan/desired-state.js';
import { diff, dirtyKeys } from '../../src/plan/operations/diff.js';
import { phases } from '../../src/plan/operations/phases.js';
import { render } from '../../src/plan/render/render.js';
import { renderContext } from '../../src/plan/render/render-context.js';
import { messagesIn } from '../support/captures.js';
import { acknowledgementBytes, FakeChannel, messageBytes } from '../support/fake-channel.js';
import { nodeFacts, settings } from '../support/objects.js';
import { serviceOf, sliceOf } from './cluster.js';

const services = 300;
const endpoints = 10;
/** What floor.c prints messages for. */
const family = 28;
const interfaceIndex = 1;

const acknowledge = 0x4;

/** Type, flags and body of each message, sorted: the order within a step is each side's own. */
const texts = (messages: readonly Message[]): readonly string[] =>
  messages
    .map(({ type, flags, view, bodyOffset, bodyLength }) => {
      const body = Buffer.from(view.buffer, view.byteOffset + bodyOffset, bodyLength).toString('hex');
      return `${type} ${flags & ~acknowledge} ${body}`;
    })
    .toSorted();

const floorMessages = (vipBinding: VipBinding): readonly Message[] => {
  const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-floor-'));
  try {
    const program = join(folder, 'floor');
    const source = fileURLToPath(new URL('../../../scripts/benchmark/floor.c', import.meta.url));
    execFileSync('cc', ['-O1', '-o', program, source]);
    const output = execFileSync(program, [String(services), String(endpoints), vipBinding, '--print'], {
      maxBuffer: 1 << 26,
    });
    return messagesIn(Uint8Array.from(output));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** A kernel that has the family IPVS and takes everything. */
const willing = (): FakeChannel =>
  new FakeChannel((messages) => {
    const last = messages.at(-1);
    if (last === undefined) return [];
    if (last.type !== 16) return [acknowledgementBytes(last, 0)];
    const answer = messageBytes({
      type: 16,
      sequence: last.sequence,
      body: (writer) => {
        for (const word of [1, 6 | (1 << 16), family]) writer.u32(word);
      },
    });
    return [answer];
  });

/** What a full sync of kube-ipvs sends, without finding the family. */
const ourMessages = async (vipBinding: VipBinding): Promise<readonly Message[]> => {
  const desired = new DesiredState(() => vipBinding);
  const context = renderContext(nodeFacts(), settings({ vipBinding }));
  for (let index = 1; index <= services; index += 1) {
    const service = serviceOf(index);
    desired.replace(service.key, render(service, [sliceOf(index, endpoints)], context));
  }
  const empty = { virtualServer: () => undefined, bindings: () => noBinding, element: () => undefined };
  const [generic, route] = [willing(), willing()];
  const ipvsClient = IpvsClient.open(Connection.open('generic', { channel: () => generic }));
  const routeClient = RtnetlinkClient.open(
    defaultInstance,
    Connection.open('route', { channel: () => route }),
  );
  // The floor knows nothing of packet rules.
  const { virtualServers, addresses } = desired.keys();
  for (const phase of phases(diff(desired, empty, dirtyKeys({ virtualServers, addresses })))) {
    if ('elements' in phase) continue;
    const outcomes =
      'ipvs' in phase
        ? await ipvsClient.apply(phase.ipvs)
        : await routeClient.apply(interfaceIndex, phase.addresses);
    for (const outcome of outcomes) assert.equal(outcome.status, 'applied');
  }
  return [...generic.datagrams.slice(1), ...route.datagrams].flat();
};

for (const vipBinding of vipBindingNames)
  test(`the floor sends the messages of a full sync, byte for byte: binding ${vipBinding}`, async () => {
    const floor = texts(floorMessages(vipBinding));
    assert.equal(floor.length, services * (endpoints + 2));
    const ours = texts(await ourMessages(vipBinding));
    assert.equal(ours.length, floor.length);
    for (const [index, text] of ours.entries()) assert.equal(text, floor[index]);
  });
