// lab: -K time-travel --timeout 280
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Cluster, kinds, type ClusterKind } from '../conformance/cluster.js';
import { Place, type Spec } from '../conformance/place.js';
import { checkName, specs } from '../conformance/specs.js';

// What Kubernetes' own end-to-end tests ask of a service proxy, in dual-stack and IPv6 single-stack clusters; docs/conformance.md
// has the specs. All of them run at the same time, each with Services of its own.

const failures = new Map<string, Error | undefined>();

const ofKind = (kind: ClusterKind): readonly Spec[] =>
  specs.filter(({ dualStack = false }) => kind === 'dual-stack' || !dualStack);

const runAll = async (kind: ClusterKind): Promise<void> => {
  await using cluster = await Cluster.up(kind);
  let index = 0;
  await Promise.all(
    ofKind(kind).map(async (spec) => {
      const places = Array.from({ length: spec.places ?? 1 }, () => new Place(cluster, index++));
      const [first, ...more] = places;
      if (first === undefined) return;
      const error = await spec.run(first, ...more).then(
        () => undefined,
        (reason: unknown) => reason as Error,
      );
      failures.set(`${kind} ${spec.name}`, error);
      if (error !== undefined) process.stderr.write(`✗ ${spec.name}: ${error.message.slice(0, 300)}\n`);
    }),
  );
  if ([...failures.values()].some((failure) => failure !== undefined))
    process.stderr.write(cluster.daemon.log.slice(0, 6_000));
};

const allKinds = Object.keys(kinds) as readonly ClusterKind[];

before(async () => {
  for (const kind of allKinds) await runAll(kind);
});

for (const kind of allKinds)
  for (const spec of ofKind(kind))
    test(`${kind}: ${checkName(spec)}`, () => {
      const key = `${kind} ${spec.name}`;
      assert.ok(failures.has(key), 'it did not run');
      const failure = failures.get(key);
      if (failure !== undefined) throw failure;
    });
