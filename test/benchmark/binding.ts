// Measures a full sync with one binding of VIPs. Arguments: SERVICES ENDPOINTS BINDING. Prints one line of JSON (BindingRun of
// binding-report.ts); run by scripts/bench --bindings in a fresh network namespace.
import { vipBindingNames } from '../../src/model/settings/vip-binding.js';
import type { BindingRun } from './binding-report.js';
import { fullSync } from './full-sync.js';

const [services, endpoints, given] = process.argv.slice(2);
const binding = vipBindingNames.find((name) => name === given);
if (binding === undefined) throw new Error(`no binding ${given}`);
const { daemon, fullSyncSeconds, residentMegabytes } = await fullSync(
  Number(services),
  Number(endpoints),
  binding,
);
await daemon[Symbol.asyncDispose]();
process.stdout.write(`${JSON.stringify({ fullSyncSeconds, residentMegabytes } satisfies BindingRun)}\n`);
