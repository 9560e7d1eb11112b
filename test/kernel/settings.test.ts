import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { run, schedulers } from '../support/lab-guest.js';
import { startInProcess } from '../support/in-process-daemon.js';

const sysctl = (name: string): string => readFileSync(`/proc/sys/net/ipv4/conf/all/${name}`, 'utf8').trim();

test('strictARP is set where it is configured, and only there', async () => {
  await using _plain = await startInProcess();
  assert.deepEqual([sysctl('arp_ignore'), sysctl('arp_announce')], ['0', '0']);
  await using _strict = await startInProcess('--ipvs-strict-arp');
  assert.deepEqual([sysctl('arp_ignore'), sysctl('arp_announce')], ['1', '2']);
});

test('configured IPVS timeouts are set, the others stay', async () => {
  const timeouts = (): readonly string[] => run('ipvsadm', '-L', '--timeout').match(/\d+/g) ?? [];
  const [tcp, , udp] = timeouts();
  await using _daemon = await startInProcess('--ipvs-tcpfin-timeout=77s');
  assert.deepEqual(timeouts(), [tcp, '77', udp]);
});

test('every scheduler of the kernel is found without leaving a trace, an unknown one is refused by name', async () => {
  for (const scheduler of schedulers) {
    await using _daemon = await startInProcess(`--ipvs-scheduler=${scheduler}`);
  }
  assert.equal(run('ipvsadm', '-Sn'), '');
  await assert.rejects(startInProcess('--ipvs-scheduler=best'), /this kernel has no IPVS scheduler "best"/);
});
