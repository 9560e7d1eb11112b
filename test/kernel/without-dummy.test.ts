// lab: -K initcall_blacklist=dummy_init_module
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DaemonProcess } from '../support/daemon-process.js';

test('a kernel without dummy devices: the daemon says so, names the driver and how to get it, and ends with status 1', async () => {
  await using daemon = new DaemonProcess(['--source=examples']);
  assert.equal(await daemon.ended(), 1);
  assert.match(daemon.log, /cannot create kube-ipvs0: this kernel has no dummy network driver/);
  assert.match(daemon.log, /modprobe dummy/);
});
