import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { InputError } from '../../src/base/errors.js';
import { formatYaml } from '../../src/base/yaml.js';
import { formatDuration, parseDuration } from '../../src/base/duration.js';
import { flagTable } from '../../src/config/flag-table.js';
import { parseFlags } from '../../src/config/parse-flags.js';
import { readKubeProxyConfiguration } from '../../src/config/schema/kube-proxy-configuration.js';
import { resolveSettings } from '../../src/config/settings.js';

const header = {
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'ipvs',
};

/** Runs it; anything but success and an InputError with a message is a failure of ours. */
const onlyInputErrors = (job: () => unknown): void => {
  try {
    job();
  } catch (error) {
    assert.ok(error instanceof InputError && error.message !== '', String(error));
  }
};

const fields = Object.keys(readKubeProxyConfiguration({}).value ?? {});
const value = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom('30s', '-1s', '10.0.0.0/8', 'primary', '0.0.0.0:1', '', null, 0, -1, 2 ** 40),
  fc.dictionary(fc.constantFrom('syncPeriod', 'burst', 'min', 'format', 'text', 'x'), fc.jsonValue()),
);

test('whatever stands in the fields of a file is taken or refused with a message', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...fields, 'unknown'), value, { maxKeys: 4 }), (object) => {
      const text = formatYaml({ ...object, ...header });
      onlyInputErrors(() =>
        resolveSettings({ flags: new Map(), files: [{ name: 'c', text }], hostname: 'h' }),
      );
    }),
    { numRuns: 500 },
  );
});

test('whatever text is a config file is taken or refused with a message', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) =>
      onlyInputErrors(() =>
        resolveSettings({ flags: new Map(), files: [{ name: 'c', text }], hostname: 'h' }),
      ),
    ),
    { numRuns: 500 },
  );
});

test('whatever is given to flags is taken or refused with a message', () => {
  const word = fc.oneof(
    fc
      .tuple(fc.constantFrom(...flagTable.map(({ name }) => name)), fc.string())
      .map(([name, text]) => `--${name}=${text}`),
    fc.string(),
    fc.constantFrom('-v', '-v=2', '--once', '--', '-', '-h'),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 5 }), (argv) =>
      onlyInputErrors(() => resolveSettings({ flags: parseFlags(argv), files: [], hostname: 'h' })),
    ),
    { numRuns: 1000 },
  );
});

test('a duration that is written is read as the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(10 ** 9), max: 10 ** 9 }), (milliseconds) =>
      assert.equal(parseDuration(formatDuration(milliseconds)), milliseconds),
    ),
  );
});
