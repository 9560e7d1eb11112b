import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SysctlController } from '../../../src/daemon/kernel/sysctl-controller.js';
import type { KernelParameterValue } from '../../../src/kernel/sysctl.js';
import { RecordingLog } from '../../support/recording-log.js';

const conntrack = {
  maxPerCore: 0,
  min: 0,
  tcpEstablishedTimeout: 3_600_000,
  tcpCloseWaitTimeout: 0,
  udpTimeout: 0,
  udpStreamTimeout: 0,
  tcpBeLiberal: false,
};
const established = 'net.netfilter.nf_conntrack_tcp_timeout_established';

const setUp = () => {
  const kernel = new Map<string, KernelParameterValue>([
    ['net.ipv4.vs.conntrack', 1],
    ['net.ipv4.vs.expire_nodest_conn', 1],
    ['net.ipv4.vs.expire_quiescent_template', 1],
    ['net.ipv4.ip_forward', 1],
    [established, 3_600],
  ]);
  const written: string[] = [];
  const drifts: string[] = [];
  const refusal: { reason: string | undefined } = { reason: undefined };
  const log = new RecordingLog();
  const care = new SysctlController({
    settings: () => ({ strictArp: false, conntrack }),
    facts: { release: '6.1.0', cpus: 1, read: ({ name }) => kernel.get(name) ?? 'absent' },
    write: ({ name }, value) => {
      written.push(`${name}=${value}`);
      if (refusal.reason === undefined) kernel.set(name, typeof value === 'string' ? { text: value } : value);
      return refusal.reason;
    },
    drift: { count: (object, kind) => void drifts.push(`${object} ${kind}`) },
    log,
  });
  return { kernel, written, drifts, refusal, log, care };
};

test('what we cannot do without is set again and counted; where nothing differs nothing is written', () => {
  const { kernel, written, drifts, log, care } = setUp();
  care.check();
  assert.deepEqual([written, drifts, log.at('warn')], [[], [], []]);
  kernel.set('net.ipv4.vs.conntrack', 0);
  care.check();
  care.check();
  assert.deepEqual(written, ['net.ipv4.vs.conntrack=1']);
  assert.deepEqual(drifts, ['kernel-setting differs']);
  assert.equal(log.at('warn').length, 1);
});

test('what somebody may have meant is told once for each value, and left', () => {
  const { kernel, written, drifts, log, care } = setUp();
  for (const value of [600, 600, 700, 3_600, 600]) {
    kernel.set(established, value);
    care.check();
  }
  assert.deepEqual([written, drifts], [[], []]);
  assert.equal(log.at('warn').length, 3);
});

test('a refusal is told once, and tried again', () => {
  const { kernel, written, drifts, refusal, log, care } = setUp();
  kernel.set('net.ipv4.ip_forward', 0);
  refusal.reason = 'read-only';
  care.check();
  care.check();
  assert.equal(log.at('warn').length, 1);
  refusal.reason = undefined;
  care.check();
  assert.equal(written.length, 3);
  assert.deepEqual(drifts, ['kernel-setting differs']);
});
