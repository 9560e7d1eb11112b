// lab: -K initcall_blacklist=ip_vs_init
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DaemonProcess } from '../support/daemon-process.js';

test('a kernel without IPVS: the daemon says so, names the module and how to get it, and ends with status 1', async () => {
  await using daemon = new DaemonProcess(['--source=examples']);
  assert.equal(await daemon.ended(), 1);
  assert.match(daemon.log, /this kernel has no IPVS \(ENOENT\)/);
  assert.match(daemon.log, /modprobe ip_vs/);
  assert.match(daemon.log, /CONFIG_IP_VS/);
});
