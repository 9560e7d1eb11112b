import { composeReconciler } from '../../src/daemon/composition/compose-reconciler.js';
import { EngineState } from '../../src/apply/state/engine-state.js';
import { OperationCounters } from '../../src/apply/counters/operation-counters.js';
import type { FlowCleaner } from '../../src/apply/conntrack/reset-connections.js';
import { silentLogger, type Logger } from '../../src/base/log.js';
import { virtualServerKey, type VirtualServerIdentity } from '../../src/model/virtual-server.js';
import { DesiredState } from '../../src/plan/desired-state.js';
import { type DirtyKeys } from '../../src/plan/operations/diff.js';
import { defaultDrainSettings } from '../../src/plan/drain/drain-step.js';
import { render } from '../../src/plan/render/render.js';
import { renderContext } from '../../src/plan/render/render-context.js';
import { FaultyKernel } from './faulty-kernel.js';
import { mergeDirtyKeys } from './dirty-keys.js';
import { memoized } from './memoized.js';
import { nodeFacts, ready, service, settings, slice } from './objects.js';

export const context = renderContext(nodeFacts(), settings());

interface Around {
  readonly kernel?: FaultyKernel;
  readonly log?: Logger;
  /** One address inside of ipvs.excludeCIDRs. */
  readonly excluded?: string;
  /** Whose what is new to us is; by default what stands on a VIP of ours is ours. */
  readonly isOurs?: (identity: VirtualServerIdentity, observed: EngineState) => boolean;
  readonly staleFlows?: FlowCleaner;
}

/** A reconciler and a resync, with a kernel that can be told to fail, and the parts around them. */
export const reconcilerParts = ({
  kernel = new FaultyKernel(),
  log = silentLogger,
  excluded = '',
  isOurs = (identity) => identity.by === 'address' && kernel.addresses.has(identity.address),
  staleFlows = { clean: async () => {} },
}: Around = {}) => {
  const desired = new DesiredState();
  const observed = new EngineState(desired);
  const counters = new OperationCounters();
  const clock = { now: 1_000 };
  const gone = new Set<string>();
  const interfaces = new Set<string>();
  const { reconciler, resync, orphaned, foreignVirtualServers } = composeReconciler({
    ipvs: kernel,
    addresses: kernel,
    packetRules: kernel.packetRules,
    staleFlows,
    observed,
    desired,
    isOnInterface: (address) => interfaces.has(address),
    boundVips: async () => ({ address: [...kernel.addresses], route: [...kernel.routes] }),
    ownership: {
      isExcluded: (address) => address === excluded,
      isOurs: (identity) => isOurs(identity, observed) || desired.adoptForeign(virtualServerKey(identity)),
      adoptForeign: (identity) => desired.adoptForeign(virtualServerKey(identity)),
    },
    drainSettings: () => defaultDrainSettings,
    isNodeDeleted: (nodeName) => gone.has(nodeName),
    counters,
    log,
    now: () => clock.now,
  });
  return {
    kernel,
    observed,
    desired,
    counters,
    clock,
    gone,
    interfaces,
    lingering: orphaned,
    contested: foreignVirtualServers,
    reconciler,
    resync,
  };
};

/** A Service and what it renders to. */
const renderedService = memoized(
  (name: string, address: string, endpoints: readonly string[] | undefined) => {
    const object = service(name, { clusterIP: address });
    const addresses = (endpoints ?? []).map((text) => ready(text));
    return {
      key: object.key,
      rendered: endpoints === undefined ? undefined : render(object, [slice(name, addresses)], context),
    };
  },
);

/** The same with Services to want. */
export const setUp = ({ excluded = '', kernel = new FaultyKernel() } = {}) => {
  const warnings: object[] = [];
  const log: Logger = { ...silentLogger, warn: (fields) => void warnings.push(fields) };
  const cleaned: string[] = [];
  const staleFlows: FlowCleaner = {
    clean: async (frontends) => {
      for (const { identity, realServers } of frontends)
        cleaned.push(`${virtualServerKey(identity)} answered by ${[...realServers].join(' ')}`);
    },
  };
  const parts = reconcilerParts({ kernel, log, excluded, staleFlows });
  const { desired } = parts;
  /** Service `default/NAME` on 10.96.0.N:80 with these endpoints; none: it goes. */
  const want = (name: string, address: string, endpoints: readonly string[] | undefined): DirtyKeys => {
    const { key, rendered } = renderedService(name, address, endpoints);
    return desired.replace(key, rendered);
  };
  /** Services on as many addresses, each with these endpoints; none: they go. */
  const wantMany = (count: number, endpoints: readonly string[] | undefined): DirtyKeys =>
    mergeDirtyKeys(
      Array.from({ length: count }, (_, index) =>
        want(`web-${index}`, `10.97.${index >> 8}.${index & 255}`, endpoints),
      ),
    );
  return { ...parts, warnings, cleaned, want, wantMany };
};

/** As if a new process knew nothing of the virtual servers. */
export const forgetVirtualServers = (state: EngineState): void => {
  for (const key of state.virtualServerKeys()) {
    const identity = state.virtualServer(key)?.server.identity;
    if (identity !== undefined) state.virtualServers.apply(identity, { kind: 'read-absent' });
  }
};
