// Random histories of the daemon's own composition over the fake kernel: changes of the cluster and of the node, foreign hands between
// any two messages, lost answers, dead sockets, lost notifications, ends and crashes of the process, in any order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { events, type ClusterEvent } from '../support/arbitrary-cluster.js';
import { errnoNumber } from '../support/errnos.js';
import { isLie, type Fault } from '../support/faulty-channel.js';
import {
  foreignHands,
  foreignObjects,
  isForeignLine,
  setUpForeignObjects,
  takesMarkers,
  type ForeignHandName,
} from '../support/foreign-hands.js';
import { held, oracle, wanted } from '../support/node-oracle.js';
import type { Settings } from '../../src/config/settings.js';
import { inClusterEndpointNames } from '../../src/model/settings/in-cluster-endpoints.js';
import type { ServiceAnnotations } from '../../src/model/settings/service-annotations.js';
import { vipBindingNames } from '../../src/model/settings/vip-binding.js';
import { ProductionNode } from '../support/production-node.js';

const minute = 60_000;
/** The longest deadline is 15 minutes; the rest is for resyncs, and for retries with their growing delays. */
const quiet = 30 * minute;

type ChangingSettings = Pick<Settings, 'vipBinding' | 'inClusterEndpoints' | 'nodePortSharing'>;

interface Hand {
  readonly name: ForeignHandName;
  readonly pick: number;
}

type Happening =
  | ClusterEvent
  | { readonly kind: 'time'; readonly milliseconds: number }
  | { readonly kind: 'fault'; readonly position: number; readonly fault: Fault }
  | { readonly kind: 'foreign'; readonly hand: Hand }
  /** The hand strikes once so many datagrams were sent or received. */
  | { readonly kind: 'meanwhile'; readonly datagrams: number; readonly hand: Hand }
  /** The notifications of the change are lost. A periodic resync does not read elements, so for those the loss is always reported. */
  | { readonly kind: 'deaf'; readonly how: 'lost' | 'unseen'; readonly hand: Hand }
  | { readonly kind: 'restart' }
  /** The configuration file changes; or it changed while the process did not run. */
  | ({ readonly kind: 'settings'; readonly restarts: boolean } & ChangingSettings)
  /** The process dies: after so many messages nothing reaches the kernel any more. */
  | { readonly kind: 'crash'; readonly messages: number; readonly event: ClusterEvent };

type SettingsChange = Extract<Happening, { readonly kind: 'settings' }>;

type Put = Extract<ClusterEvent, { readonly kind: 'put' }>;

const withAnnotations = ({ kind, object: { service, slices } }: Put, more: ServiceAnnotations): Put => ({
  kind,
  object: { service: { ...service, annotations: { ...service.annotations, ...more } }, slices },
});

/** What the daemon tries again by itself. */
const passing = ['EPERM', 'EINTR', 'EAGAIN', 'ENOMEM', 'EBUSY', 'ENOBUFS'];
/** What waits for the next resync, or says that the kernel is not as the daemon takes it to be. */
const lasting = ['EINVAL', 'ESRCH', 'EEXIST'];
const faultOf = (errnos: readonly string[]): fc.Arbitrary<Fault> =>
  fc.constantFrom<Fault>('lost', 'unsent', 'dead', 'cut', 'twice', ...errnos.map(errnoNumber));
const hand: fc.Arbitrary<Hand> = fc.record({
  name: fc.constantFrom(...(Object.keys(foreignHands) as ForeignHandName[])),
  pick: fc.nat(7),
});
const clusterEvent = fc
  .record({
    event: events.map(([first]) => first).filter((event) => event !== undefined),
    pace: fc.constantFrom<ServiceAnnotations>({}, {}, { 'slow-start': '1m' }, { quarantine: '2m' }),
  })
  .map(({ event, pace }): ClusterEvent => (event.kind === 'put' ? withAnnotations(event, pace) : event));

const time = fc.record({ kind: fc.constant('time' as const), milliseconds: fc.nat(3 * minute) });
const faultAmong = (errnos: readonly string[]) =>
  fc.record({ kind: fc.constant('fault' as const), position: fc.nat(12), fault: faultOf(errnos) });
const restart = fc.constant({ kind: 'restart' as const });
const crash = fc.record({ kind: fc.constant('crash' as const), messages: fc.nat(8), event: clusterEvent });
const settingsChange = fc.record({
  kind: fc.constant('settings' as const),
  vipBinding: fc.constantFrom(...vipBindingNames),
  inClusterEndpoints: fc.constantFrom(...inClusterEndpointNames),
  nodePortSharing: fc.boolean(),
  restarts: fc.boolean(),
});
const foreign = fc.record({ kind: fc.constant('foreign' as const), hand });
const meanwhile = fc.record({ kind: fc.constant('meanwhile' as const), datagrams: fc.nat(12), hand });
const deaf = fc.record({
  kind: fc.constant('deaf' as const),
  how: fc.constantFrom('lost' as const, 'unseen' as const),
  hand,
});

const historyOf = (
  ...weighted: readonly (readonly [weight: number, arbitrary: fc.Arbitrary<Happening>])[]
): fc.Arbitrary<readonly Happening[]> =>
  fc.array(fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary }))), {
    minLength: 2,
    maxLength: 16,
  });

const anything = historyOf(
  [8, clusterEvent],
  [3, time],
  [3, faultAmong([...passing, ...lasting])],
  [3, foreign],
  [3, meanwhile],
  [1, deaf],
  [1, restart],
  [1, crash],
  [2, settingsChange],
);
/** Only events that the daemon recovers from without a resync. */
const withoutForeignHands = historyOf(
  [8, clusterEvent],
  [2, time],
  [4, faultAmong(passing)],
  [1, restart],
  [1, crash],
  [2, settingsChange],
);

/** One history. */
class History {
  /** Whether ownership markers may be missing: another program deleted them, or the kernel refused them. */
  #lacksMarkers = false;

  constructor(private readonly node: ProductionNode) {}

  async happen(one: Happening): Promise<void> {
    const { node } = this;
    switch (one.kind) {
      case 'time':
        await node.advance(one.milliseconds);
        break;
      case 'fault':
        this.#lacksMarkers = true;
        node.kernel.faults.aim([{ position: one.position }], (kind) =>
          isLie(kind, one.fault) ? 'lost' : one.fault,
        );
        break;
      case 'foreign':
        await node.act(() => this.#strike(one.hand));
        break;
      case 'meanwhile':
        this.#strikeAfter(one.datagrams, one.hand);
        break;
      case 'deaf':
        node.kernel.notifications = one.hand.name.endsWith('an element') ? 'lost' : one.how;
        await node.act(() => this.#strike(one.hand));
        node.kernel.notifications = 'delivered';
        break;
      case 'restart':
        await this.#restart();
        break;
      case 'settings':
        await this.#changeSettings(one);
        break;
      case 'crash':
        await this.#crash(one.messages, one.event);
        break;
      case 'put':
      case 'delete':
      case 'node':
      case 'traffic':
        await this.#change(one);
    }
  }

  /** No more faults and no more foreign hands. */
  async becomeQuiet(): Promise<void> {
    this.#calm();
    await this.node.advance(quiet);
    this.#lacksMarkers = false;
  }

  async #change(event: ClusterEvent): Promise<void> {
    if (event.kind === 'put')
      await this.node.change(event.object.service.key, event.object.service, event.object.slices);
    else if (event.kind === 'delete') await this.node.change(event.key, undefined, []);
    else if (event.kind === 'node') await this.node.setFacts(event.facts);
    else this.node.kernel.ipvs.busy = event.flows;
  }

  async #changeSettings(change: SettingsChange): Promise<void> {
    const { restarts, vipBinding, inClusterEndpoints, nodePortSharing } = change;
    const settings = { vipBinding, inClusterEndpoints, nodePortSharing };
    if (!restarts) await this.node.changeSettings(settings);
    else await this.#restart(() => this.node.changeSettings(settings));
  }

  #strike({ name, pick }: Hand): void {
    if (takesMarkers.has(name)) this.#lacksMarkers = true;
    foreignHands[name](this.node, pick);
  }

  #strikeAfter(datagrams: number, chosen: Hand): void {
    const { faults } = this.node.kernel;
    let left = datagrams;
    faults.meanwhile = () => {
      left -= 1;
      if (left > 0) return;
      faults.meanwhile = () => {};
      this.#strike(chosen);
    };
  }

  /** The next process takes a virtual server without an ownership marker for a foreign one, by design. */
  async #restoreMarkers(): Promise<void> {
    if (this.#lacksMarkers) await this.becomeQuiet();
  }

  #calm(): void {
    const { faults } = this.node.kernel;
    faults.aim([]);
    faults.meanwhile = () => {};
  }

  /** A process that meets a fault while it starts ends with an error, and the next one starts. */
  async #restart(meanwhile: () => Promise<unknown> = async () => {}): Promise<void> {
    await this.#restoreMarkers();
    this.#calm();
    await this.node.stop();
    await meanwhile();
    await this.node.restart();
  }

  async #crash(messages: number, event: ClusterEvent): Promise<void> {
    await this.#restoreMarkers();
    this.#calm();
    const { faults } = this.node.kernel;
    let left = messages;
    faults.always = () => {
      left -= 1;
      return left < 0 ? 'unsent' : undefined;
    };
    await this.#change(event);
    await this.node.stop();
    faults.always = () => undefined;
    await this.node.restart();
  }
}

const ours = (node: ProductionNode) => {
  const all = held(node);
  return { ...all, lines: all.lines.filter((line) => !isForeignLine(line)) };
};

const seed = Number(process.env['KUBE_IPVS_SEED'] ?? 20_261_129);

/** Plays the history on a node with objects of other programs, and gives it its quiet time. */
const played = async (
  happenings: readonly Happening[],
  { busy, syncPeriod }: { readonly busy: boolean; readonly syncPeriod: number },
): Promise<void> => {
  await using node = await ProductionNode.start({ settings: { syncPeriod } });
  await setUpForeignObjects(node);
  const foreignBefore = await foreignObjects(node);
  node.kernel.ipvs.busy = busy;
  const history = new History(node);
  for (const one of happenings) await history.happen(one);
  // With connections that never end it is deadlines that bring it about.
  node.kernel.ipvs.busy = busy;
  await history.becomeQuiet();
  assert.deepEqual(ours(node), wanted(oracle(node)));
  assert.deepEqual(await foreignObjects(node), foreignBefore);
};

test('after a quiet time the kernel holds what the objects ask for, whatever happened, and foreign objects are unchanged', async () => {
  const property = fc.asyncProperty(anything, fc.boolean(), (happenings, busy) =>
    played(happenings, { busy, syncPeriod: 5 * minute }),
  );
  await fc.assert(property, { seed, numRuns: 40 });
});

test('without foreign changes the kernel gets there without a resync', async () => {
  const property = fc.asyncProperty(withoutForeignHands, fc.boolean(), (happenings, busy) =>
    played(happenings, { busy, syncPeriod: 1_000 * minute }),
  );
  await fc.assert(property, { seed, numRuns: 40 });
});
