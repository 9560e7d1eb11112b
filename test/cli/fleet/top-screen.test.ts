import assert from 'node:assert/strict';
import { test } from 'node:test';
import { main } from '../../support/program.js';
import { SimulatedFleet } from '../../support/simulated-fleet.js';
import { TerminalScreen } from '../../support/terminal-screen.js';

test('top fills the terminal with the traffic of all nodes, and gives it back', async () => {
  await using fleet = await SimulatedFleet.start(['node-1', 'node-2', 'node-3']);
  const top = `${process.execPath} ${main} fleet top --interval 200ms --kubeconfig ${fleet.kubeconfig}`;
  using screen = new TerminalScreen(`echo before; ${top}`, { columns: 120, rows: 24 });
  const lines = await screen.shows(/\nshop\/web +6 +9 +0 +30 +30 +300 +600 +3 +2 virtual/);
  assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d {2}3 nodes {2}\(q quits\)$/);
  assert.equal(screen.cursorIsVisible, false);
  screen.press('q');
  const after = await screen.shows(/status 0/);
  assert.equal(after[0], 'before');
  assert.equal(screen.cursorIsVisible, true);
  assert.equal(fleet.commands[0]?.[1].join(' '), 'kube-ipvs top --batch -o json --by service -d 200ms -n 15');
});
