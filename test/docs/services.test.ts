import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  serviceAnnotationNames,
  type ServiceAnnotationName,
  type ServiceAnnotations,
} from '../../src/model/settings/service-annotations.js';
import type { Fragment } from '../../src/plan/render/fragment.js';
import { render } from '../../src/plan/render/render.js';
import { renderContext } from '../../src/plan/render/render-context.js';
import { kubeIpvsSettings } from '../support/kube-ipvs-settings.js';
import { local, nodeFacts, ready, service, settings, slice } from '../support/objects.js';

// What docs/services.md tells users to write is valid, and has an effect.

const page = readFileSync('docs/services.md', 'utf8');

/** The rows of the first table under a heading, without its own heading. */
const tableOf = (heading: string): readonly (readonly string[])[] => {
  const section = page.split(/^##+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const [, rows = ''] = /^(\|[^]*?\n)(?!\|)/m.exec(section) ?? [];
  return rows
    .trim()
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
};

const isAnnotation = (name: string): name is ServiceAnnotationName =>
  serviceAnnotationNames.some((other) => other === name);

const rendered = (annotations: ServiceAnnotations, protocol = 'TCP', scheduler?: string): Fragment => {
  const ports = [`:80/${protocol}`];
  const value = { ...service('web', { clusterIP: '10.96.0.1', ports }), annotations };
  const slices = [slice('web', [local(ready('10.1.0.1')), ready('10.1.0.2')], { ports })];
  const context = renderContext(nodeFacts(), settings(scheduler === undefined ? {} : { scheduler }));
  return render(value, slices, context);
};

/** Everything that the annotations decide. */
const effectOf = ({ virtualServers, adoptForeign }: Fragment): unknown => [
  adoptForeign,
  ...[...virtualServers.values()].map(({ server, realServers, pace, drainMilliseconds }) => [
    server.scheduler,
    server.flags,
    server.persistence,
    pace,
    drainMilliseconds,
    [...realServers.values()].map(({ weight, upperThreshold }) => [weight, upperThreshold]),
  ]),
];

/** `scheduler: sh` or `mh`: one set of annotations for each alternative. */
const written = (text: string): readonly ServiceAnnotations[] => {
  const pairs = [...text.matchAll(/`([a-z-]+): ("?)([^"`]+)\2`/g)].map(([, name = '', , value = '']) => {
    assert.ok(isAnnotation(name) || name === 'weight', name);
    return [name, value] as const;
  });
  assert.ok(pairs.length > 0, text);
  const first = Object.fromEntries(pairs.filter(([name]) => isAnnotation(name)));
  const other = / or `([a-z]+)`/.exec(text)?.[1];
  return other === undefined ? [first] : [first, { ...first, scheduler: other }];
};

for (const [wish = '', text = ''] of tableOf('What you want, and what to write'))
  test(`what to write is valid and has an effect: ${wish}`, () => {
    for (const annotations of written(text)) {
      const protocol = annotations.flags === 'one-packet' ? 'UDP' : 'TCP';
      const fragment = rendered(annotations, protocol);
      assert.deepEqual(fragment.problems, [], text);
      // Weights come from pods and zones, which are the same here.
      if (annotations['weight-by'] === undefined)
        assert.notDeepEqual(effectOf(fragment), effectOf(rendered({}, protocol)), text);
    }
  });

test('the table of annotations has each once, and what it gives as an example is valid', () => {
  const rows = tableOf('Annotations');
  const names = rows.map(([name = '']) => name.replaceAll('`', ''));
  assert.deepEqual(names.toSorted(), [...serviceAnnotationNames].toSorted());
  for (const [index, [, values = '']] of rows.entries()) {
    const name = names[index] as ServiceAnnotationName;
    const examples = [...values.matchAll(/`([^`]+)`/g)].flatMap(([, each = '']) =>
      name === 'scheduler' ? each.split(' ') : [each],
    );
    for (const example of examples) {
      const [scheduler = 'rr'] = /^(sh|mh)-/.exec(example)?.slice(1) ?? [];
      const protocol = example === 'one-packet' ? 'UDP' : 'TCP';
      const annotations = { ...(name === 'scheduler' ? {} : { scheduler }), [name]: example };
      const wrong = rendered(annotations, protocol).problems.filter(({ reason }) =>
        reason.startsWith('Invalid'),
      );
      assert.deepEqual(wrong, [], `${name}: ${example}`);
    }
  }
});

test('the fields of services are all there, and choose what is chosen without them', () => {
  const yaml = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
  const fields = yaml.slice(yaml.indexOf('services:'));
  assert.deepEqual(kubeIpvsSettings(fields), kubeIpvsSettings(''));
  const defaults = readFileSync('test/fixtures/cli/config-defaults.txt', 'utf8');
  const [, every = ''] = /^services:\n((?: {2}.*\n)+)/m.exec(defaults) ?? [];
  const names = (text: string): readonly string[] =>
    [...text.matchAll(/^ {2}(\w+):/gm)].map(([, name = '']) => name).toSorted();
  assert.deepEqual(names(fields), names(every));
  assert.ok(names(every).length > 0);
});
