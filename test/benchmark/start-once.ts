// Starts the daemon in a new network namespace against an API server with a whole cluster, and prints as JSON (StartRun of
// start-report.ts) how long it takes until the kernel has everything. Arguments: SERVICES ENDPOINTS.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import { DaemonProcess } from '../support/daemon-process.js';
import { startRecordedApiServer } from './recorded-api-server.js';
import type { StartRun } from './start-report.js';

const [services = 10_000, endpoints = 10] = process.argv.slice(2).map(Number);

/** Milliseconds. V8 gives back what the start needed some seconds after it. */
const settleMilliseconds = 30_000;

execFileSync('ip', ['link', 'set', 'lo', 'up']);
const kubeconfig = join(mkdtempSync(join(tmpdir(), 'bench-start-')), 'kubeconfig');
writeFileSync(kubeconfig, await startRecordedApiServer({ services, endpoints }));

const megabytes = (pid: number, field: string): number => {
  const [, kilobytes] =
    new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (Number(kilobytes) * 1024) / 1e6;
};

const started = performance.now();
await using daemon = new DaemonProcess([`--kubeconfig=${kubeconfig}`, '--hostname-override=node-1']);
let heard = 0;
/** Reads only the new part of the log each time. */
const logHas = (word: string): boolean => {
  const at = daemon.log.indexOf(word, Math.max(0, heard - word.length));
  heard = daemon.log.length;
  return at !== -1;
};
while (!logHas('"event":"synced"')) await sleep(20);
const seconds = (performance.now() - started) / 1e3;

const client = IpvsClient.open();
assert.equal((await client.virtualServers()).length, services, daemon.log.slice(-2_000));
client.close();
await sleep(settleMilliseconds);
const result: StartRun = {
  seconds,
  peakMegabytes: megabytes(daemon.pid, 'VmHWM'),
  residentMegabytes: megabytes(daemon.pid, 'VmRSS'),
};
console.log(JSON.stringify(result));
await daemon.stop();
process.exit();
