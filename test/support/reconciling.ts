import { Contests } from '../../src/apply/contests.js';
import { Observed } from '../../src/apply/observed.js';
import { OperationCounters } from '../../src/apply/operation-counters.js';
import type { FlowCleaner } from '../../src/apply/purged-flows.js';
import { Reconciler } from '../../src/apply/reconciler.js';
import { Resync } from '../../src/apply/resync.js';
import { silentLogger, type Logger } from '../../src/base/log.js';
import { virtualServerKey, type VirtualServerIdentity } from '../../src/model/virtual-server.js';
import { Contested } from '../../src/plan/contested.js';
import { Desired } from '../../src/plan/desired.js';
import { type Touched } from '../../src/plan/diff.js';
import { defaultDrainSettings } from '../../src/plan/drain.js';
import { LeftAlone } from '../../src/plan/excluded.js';
import { render, renderContext } from '../../src/plan/render.js';
import { FaultyKernel } from './faulty-kernel.js';
import { lingeringOver } from './lingering.js';
import { allTouched } from './touched.js';
import { nodeFacts, ready, service, settings, slice } from './objects.js';

export const context = renderContext(nodeFacts(), settings());

interface Around {
  readonly kernel?: FaultyKernel;
  readonly log?: Logger;
  /** One address inside of ipvs.excludeCIDRs. */
  readonly excluded?: string;
  /** Whose what is new to us is; by default what stands on a VIP of ours is ours. */
  readonly isOurs?: (identity: VirtualServerIdentity, observed: Observed) => boolean;
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
  const observed = new Observed();
  const desired = new Desired();
  const counters = new OperationCounters();
  const clock = { now: 1_000 };
  const gone = new Set<string>();
  const interfaces = new Set<string>();
  const lingering = lingeringOver(desired, interfaces);
  const contested = new Contested({
    wanted: new LeftAlone({ wanted: lingering, observed, isExcluded: (address) => address === excluded }),
    services: desired,
    observed,
  });
  const isGiven = (identity: VirtualServerIdentity): boolean => desired.isGiven(virtualServerKey(identity));
  const contests = new Contests({ ipvs: kernel, observed, contested, isGiven });
  const reconciler = new Reconciler({
    ipvs: kernel,
    addresses: kernel,
    packetRules: kernel.packetRules,
    observed,
    wanted: contested,
    lingering,
    contests,
    endpoints: desired,
    drainSettings: () => defaultDrainSettings,
    isNodeGone: (nodeName) => gone.has(nodeName),
    counters,
    staleFlows,
    log,
    now: () => clock.now,
  });
  const resync = new Resync({
    ipvs: kernel,
    observed,
    dummyAddresses: async () => [...kernel.addresses],
    isOurs: (identity) =>
      contests.isMaybeOurs(virtualServerKey(identity)) || isOurs(identity, observed) || isGiven(identity),
    isWanted: (key) => desired.ownerOf(key) !== undefined,
    missed: (missing) => contests.missed(missing),
    contested,
    unreadable: reconciler.unreadable,
  });
  return {
    kernel,
    observed,
    desired,
    counters,
    clock,
    gone,
    interfaces,
    lingering,
    contested,
    reconciler,
    resync,
  };
};

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
  const want = (name: string, address: string, endpoints: readonly string[] | undefined): Touched => {
    const object = service(name, { clusterIP: address });
    const slices =
      endpoints === undefined
        ? []
        : [
            slice(
              name,
              endpoints.map((text) => ready(text)),
            ),
          ];
    return desired.replace(object.key, endpoints === undefined ? undefined : render(object, slices, context));
  };
  /** Services on as many addresses, each with these endpoints; none: they go. */
  const wantMany = (count: number, endpoints: readonly string[] | undefined): Touched =>
    allTouched(
      Array.from({ length: count }, (_, index) =>
        want(`web-${index}`, `10.97.${index >> 8}.${index & 255}`, endpoints),
      ),
    );
  return { ...parts, warnings, cleaned, want, wantMany };
};
