// Measures the processor time of one endpoint that comes or goes, with a kernel in memory, while real servers of other Services drain, and
// without any drain. Prints JSON. Arguments: DRAINING CHANGES.
import { ProductionNode } from '../support/production-node.js';
import { serviceOf, sliceOf } from './cluster.js';

const [draining = 5_000, changes = 300] = process.argv.slice(2).map(Number);
/** The first changes are slower: the compiler of V8 is still at work. */
const warmUp = 300;

const indexes = Array.from({ length: draining + 1 }, (_, index) => index + 1);
const objectsWith = (endpoints: number) => ({
  services: indexes.map(serviceOf),
  slices: indexes.map((index) => sliceOf(index, index === 1 ? 1 : endpoints)),
});

/** Milliseconds of processor time for a change of the first Service. */
const changeCost = async (node: ProductionNode): Promise<number> => {
  const service = serviceOf(1);
  const add = async (count: number): Promise<void> => {
    for (let change = 0; change < count; change += 1)
      await node.change(service.key, service, [sliceOf(1, 1 + (change % 2))]);
  };
  await add(warmUp);
  const before = process.cpuUsage();
  await add(changes);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e3 / changes;
};

const measure = async (endpointsBefore: number): Promise<{ milliseconds: number; draining: number }> => {
  await using node = await ProductionNode.start();
  await node.replace(objectsWith(endpointsBefore));
  // Every real server that leaves has a connection, so it drains.
  node.kernel.ipvs.busy = true;
  await node.replace(objectsWith(1));
  const { size } = node.composition.reconciler.drains;
  return { milliseconds: await changeCost(node), draining: size };
};

const without = await measure(1);
const beside = await measure(2);
console.log(
  JSON.stringify({
    draining: beside.draining,
    millisecondsWithoutDrains: Number(without.milliseconds.toFixed(3)),
    milliseconds: Number(beside.milliseconds.toFixed(3)),
    ratio: Number((beside.milliseconds / without.milliseconds).toFixed(2)),
  }),
);
