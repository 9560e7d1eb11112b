import type { Failure } from '../apply/retry/retries.js';
import { sleep } from '../base/async.js';
import { silentLogger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import type { InstanceNames } from '../model/instance-names.js';
import type { InterfaceAddress, Node } from '../model/node.js';
import type { StatusResponse, VirtualServerDescription } from '../admin-api/responses.js';
import type { PlanGroup } from '../plan/output/plan-text.js';
import type { ClusterStore } from '../watch/store/cluster-store.js';
import { describeVirtualServers } from '../daemon/admin/start-admin.js';
import { silentRecorder } from '../daemon/events/event-recorder.js';
import { openKernel, prepareKernel, type KernelAccess } from '../daemon/kernel/kernel-access.js';
import { ChangeableSettings } from '../daemon/config/live-settings.js';
import { createMetrics } from '../daemon/metrics/start-metrics.js';
import { compose, type Composition, type KernelPorts } from '../daemon/compose.js';
import { planFirstSync } from '../daemon/sync/plan-first-sync.js';

type ClusterState = Parameters<ClusterStore['replaceAll']>[0];

/** The objects in files. */
export interface NodeObjects extends Omit<ClusterState, 'node'> {
  readonly nodes: ReadonlyMap<string, Node>;
}

export interface ObjectsParts {
  readonly settings: Settings;
  readonly objects: NodeObjects;
  /** The node's addresses; undefined: those of this machine. */
  readonly addresses: readonly InterfaceAddress[] | undefined;
}

/** The differences between the kernel and the desired state of files. */
export interface ObjectsComparison {
  readonly groups: readonly PlanGroup[];
  readonly contested: StatusResponse['contested'];
  /** The Service and endpoints behind each virtual server, by key. */
  readonly names: Readonly<Record<string, VirtualServerDescription>>;
  /** What cannot be served as requested. */
  readonly problems: readonly string[];
}

/** The kernel with other addresses on the node; its VIPs stay. */
const withAddresses = (
  kernel: KernelAccess,
  { dummyInterface }: InstanceNames,
  addresses: readonly InterfaceAddress[] | undefined,
): KernelPorts => {
  if (addresses === undefined) return kernel;
  const { route } = kernel;
  const replaced = addresses.map((entry, index) => ({ ...entry, interfaceIndex: -1 - index }));
  return {
    ...kernel,
    route: {
      link: (name) => route.link(name),
      createDummy: (name) => route.createDummy(name),
      apply: (index, operations) => route.apply(index, operations),
      vipRoutes: () => route.vipRoutes(),
      localIpv6Addresses: () => route.localIpv6Addresses(),
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
      addresses: async (of) => {
        const only = of?.only;
        const dummy = await route.link(dummyInterface);
        const bound = dummy === undefined ? [] : await route.addresses({ only: dummy.index });
        return [...replaced, ...bound].filter(
          ({ interfaceIndex }) => only === undefined || interfaceIndex === only,
        );
      },
    },
  };
};

interface NodeComposition extends AsyncDisposable {
  readonly kernel: KernelAccess;
  readonly live: ChangeableSettings;
  readonly composition: Composition;
  /** Puts the objects into the store. */
  readonly deliver: () => void;
}

/** Composes a daemon without a source. */
const composeNode = async ({ settings, objects, addresses }: ObjectsParts): Promise<NodeComposition> => {
  const kernel = await openKernel(settings.names);
  const live = new ChangeableSettings(settings);
  const composition = compose(
    live,
    withAddresses(kernel, settings.names, addresses),
    silentRecorder,
    createMetrics(settings),
    silentLogger,
  );
  await composition.readInitialState();
  await composition.readAddresses();
  const { services, endpointSlices, pods = new Map(), nodes } = objects;
  return {
    kernel,
    live,
    composition,
    deliver: () =>
      composition.store.replaceAll({
        services,
        endpointSlices,
        pods,
        node: nodes.get(settings.nodeName),
      }),
    async [Symbol.asyncDispose](): Promise<void> {
      await composition.syncLoop[Symbol.asyncDispose]();
      kernel[Symbol.dispose]();
    },
  };
};

/** Compares the kernel with the objects, as a daemon with --dry-run does. Changes nothing. */
export const compareWithObjects = async (parts: ObjectsParts): Promise<ObjectsComparison> => {
  await using node = await composeNode(parts);
  const { composition, kernel, live } = node;
  node.deliver();
  const groups = await planFirstSync(composition, kernel, parts.settings);
  const { desired } = composition.desiredStateUpdater;
  const descriptions = describeVirtualServers(composition, live);
  return {
    groups,
    contested: [...composition.foreignVirtualServers.conflicts()].map(({ key, service }) => ({
      virtualServer: key,
      service,
    })),
    names: Object.fromEntries(
      [...desired.virtualServers()].flatMap(({ server: { key } }) => {
        const known = descriptions.of(key);
        return known === undefined ? [] : [[key, known] as const];
      }),
    ),
    problems: [
      ...[...desired.fragments()].flatMap(({ problems }) => problems.map(({ message }) => message)),
      ...desired.clashes().map(({ message }) => message),
    ],
  };
};

/** Programs the objects, as a daemon with --once does; resolves to the objects that the kernel refused. */
export const programObjects = async (
  parts: ObjectsParts,
  limitMilliseconds: number,
): Promise<readonly Pick<Failure, 'what' | 'reason'>[]> => {
  await using node = await composeNode({ ...parts, settings: { ...parts.settings, once: true } });
  const { composition, kernel } = node;
  await prepareKernel(kernel, parts.settings, silentLogger);
  await composition.dummy.ensure();
  const first = composition.syncLoop.start();
  node.deliver();
  await Promise.race([first, sleep(limitMilliseconds)]);
  return [...composition.reconciler.failures()];
};
