import type { Failure } from '../../apply/retries.js';
import { sleep } from '../../base/async.js';
import { silentLogger } from '../../base/log.js';
import type { Settings } from '../../config/settings.js';
import { dummyInterfaceName, type InterfaceAddress, type Node } from '../../model/node.js';
import type { StatusAnswer, VirtualServerNames } from '../../plan/admin-answers.js';
import type { PlanGroup } from '../../plan/plan-text.js';
import type { ClusterStore } from '../../watch/cluster-store.js';
import { namesFor } from '../admin/start.js';
import { silentRecorder } from '../events/recorder.js';
import { openKernel, prepareKernel, type KernelAccess } from '../kernel-access.js';
import { ChangeableSettings } from '../live-settings.js';
import { metricsOf } from '../metrics/start.js';
import { wire, type Wired, type WiredKernel } from '../wiring.js';
import { planOf } from './with-wired.js';

type ClusterState = Parameters<ClusterStore['replaceAll']>[0];

/** What a node is to serve, as files have it. */
export interface NodeObjects extends Omit<ClusterState, 'node'> {
  readonly nodes: ReadonlyMap<string, Node>;
}

export interface ObjectsParts {
  readonly settings: Settings;
  readonly objects: NodeObjects;
  /** Undefined: this machine's. */
  readonly addresses: readonly InterfaceAddress[] | undefined;
}

/** How the kernel differs from what files ask for. */
export interface ObjectsComparison {
  readonly groups: readonly PlanGroup[];
  readonly contested: StatusAnswer['contested'];
  /** By virtual server, whose it is. */
  readonly names: Readonly<Record<string, VirtualServerNames>>;
  /** What can't be served as it is asked for. */
  readonly problems: readonly string[];
}

/** The kernel with other addresses on the node, but for those on kube-ipvs0. */
const withAddresses = (
  kernel: KernelAccess,
  addresses: readonly InterfaceAddress[] | undefined,
): WiredKernel => {
  if (addresses === undefined) return kernel;
  const { route } = kernel;
  const given = addresses.map((entry, index) => ({ ...entry, interfaceIndex: -1 - index }));
  return {
    ...kernel,
    route: {
      link: (name) => route.link(name),
      createDummy: (name) => route.createDummy(name),
      apply: (index, operations) => route.apply(index, operations),
      gateways: (families) => route.gateways(families),
      links: async () => [
        ...(await route.links()),
        ...addresses.map(({ interfaceName }, index) => ({
          index: -1 - index,
          name: interfaceName,
          kind: undefined,
          up: true,
        })),
      ],
      addresses: async () => {
        const dummy = await route.link(dummyInterfaceName);
        const bound = (await route.addresses()).filter(
          ({ interfaceIndex }) => interfaceIndex === dummy?.index,
        );
        return [...given, ...bound];
      },
    },
  };
};

interface OpenNode extends AsyncDisposable {
  readonly kernel: KernelAccess;
  readonly live: ChangeableSettings;
  readonly wired: Wired;
  /** Gives the objects to the store. */
  readonly deliver: () => void;
}

/** The parts of a daemon that has no source and follows nothing. */
const openNode = async ({ settings, objects, addresses }: ObjectsParts): Promise<OpenNode> => {
  const kernel = await openKernel();
  const live = new ChangeableSettings(settings);
  const wired = wire(
    live,
    withAddresses(kernel, addresses),
    silentRecorder,
    metricsOf(settings),
    silentLogger,
  );
  await wired.lookAround();
  await wired.readAddresses();
  const { services, endpointSlices, nodes } = objects;
  return {
    kernel,
    live,
    wired,
    deliver: () => wired.store.replaceAll({ services, endpointSlices, node: nodes.get(settings.nodeName) }),
    async [Symbol.asyncDispose](): Promise<void> {
      await wired.proxy[Symbol.asyncDispose]();
      kernel[Symbol.dispose]();
    },
  };
};

/** What `--dry-run` of a daemon with these objects would tell. Changes nothing. */
export const compareWithObjects = async (parts: ObjectsParts): Promise<ObjectsComparison> => {
  await using node = await openNode(parts);
  const { wired, kernel, live } = node;
  node.deliver();
  const groups = await planOf(wired, kernel, parts.settings);
  const { desired } = wired.wanted;
  const names = namesFor(wired, live);
  return {
    groups,
    contested: [...wired.contested.all()].map(({ key, service }) => ({ virtualServer: key, service })),
    names: Object.fromEntries(
      [...desired.virtualServers()].flatMap(({ server: { key } }) => {
        const known = names.of(key);
        return known === undefined ? [] : [[key, known] as const];
      }),
    ),
    problems: [
      ...[...desired.fragments()].flatMap(({ problems }) => problems.map(({ message }) => message)),
      ...desired.clashes().map(({ message }) => message),
    ],
  };
};

/** Does what `--once` of a daemon with these objects would; gives what the kernel refused. */
export const programObjects = async (
  parts: ObjectsParts,
  limitMilliseconds: number,
): Promise<readonly Pick<Failure, 'what' | 'reason'>[]> => {
  await using node = await openNode(parts);
  const { wired, kernel } = node;
  await prepareKernel(kernel, parts.settings, silentLogger);
  await wired.dummy.ensure();
  const first = wired.proxy.start();
  node.deliver();
  await Promise.race([first, sleep(limitMilliseconds)]);
  return [...wired.reconciler.failures()];
};
