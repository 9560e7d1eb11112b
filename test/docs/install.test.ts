import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { chart, clusterTool } from '../support/chart.js';

// The commands of the pages about installation, as far as helm can try them without a cluster.

const pages = [
  'README.md',
  'docs/deploy.md',
  'docs/metrics.md',
  ...readdirSync('docs/install').map((name) => join('docs/install', name)),
];
const textOf = (page: string): string => readFileSync(page, 'utf8').replaceAll(/ \\\n\s*/g, ' ');

/** The options `--set …` of each command that installs or upgrades kube-ipvs. */
const settingsIn = (page: string): readonly (readonly string[])[] =>
  [...textOf(page).matchAll(/^ +helm (?:install|upgrade) kube-ipvs .*$/gm)].map(([command]) =>
    [...command.matchAll(/--set (\S+)/g)].map(([, setting = '']) => setting),
  );

const render = (...args: readonly string[]) =>
  clusterTool(['helm', 'template', 'kube-ipvs', chart, '--set', 'k8sServiceHost=192.0.2.1', ...args]);

test('the chart takes the settings of every command that installs it', () => {
  const commands = pages.flatMap((page) => settingsIn(page).map((settings) => ({ page, settings })));
  assert.ok(commands.length >= 7, `only ${commands.length}`);
  for (const { page, settings } of commands) {
    const { status, stderr } = render(...settings.flatMap((setting) => ['--set', setting]));
    assert.equal(status, 0, `${page}: ${settings.join(' ')}: ${stderr}`);
  }
});

test('the version of every package and image in a command is that of the chart', () => {
  const { version } = z
    .object({ version: z.string() })
    .parse(parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')));
  const named = pages.flatMap((page) =>
    [...textOf(page).matchAll(/kube-ipvs-(\d[\d.]*\d)|scripts\/release (\d\S*)/g)].map(([, ...groups]) =>
      groups.find((group) => group !== undefined),
    ),
  );
  assert.ok(named.length > 8, `only ${named.length}`);
  assert.deepEqual(new Set(named), new Set([version]));
});
