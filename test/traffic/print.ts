// Prints the traffic matrix as it comes out here, in the lab: scripts/lab -t 300 -- node build/test/traffic/print.js [SETTING…]
import { settings } from './matrix.js';
import { TwoNodeNetwork } from './network.js';
import { healthCheckPorts, runSetting } from './run.js';
import { tableOf } from './table.js';

const chosen = process.argv.slice(2);
let failed = 0;
await using network = await TwoNodeNetwork.up(healthCheckPorts);
for (const setting of chosen.length > 0 ? chosen : Object.keys(settings)) {
  const started = Date.now();
  const findings = await runSetting(network, setting);
  failed += findings.filter(({ ok }) => !ok).length;
  process.stdout.write(`${tableOf(setting, findings)}\n`);
  process.stdout.write(`  ${findings.length} cells, ${((Date.now() - started) / 1000).toFixed(1)} s\n\n`);
}
process.stdout.write(`${failed === 0 ? 'all as expected' : `${failed} not as expected`}\n`);
process.exitCode = failed === 0 ? 0 : 1;
