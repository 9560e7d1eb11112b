import type { Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import { podNetworksUnknown } from '../../config/pod-traffic.js';
import type { Settings } from '../../config/settings.js';
import type { Node } from '../../model/node.js';
import type { ClusterStore } from '../../watch/store/cluster-store.js';
import type { EventRecorder } from '../events/event-recorder.js';
import { sanityWarnings } from '../config/sanity-warnings.js';

export interface NodeReporterParts {
  readonly store: Pick<ClusterStore, 'node' | 'synced'>;
  readonly settings: () => Settings;
  readonly served: readonly Family[];
  readonly events: EventRecorder;
  readonly log: Logger;
  /** How long a Node may lack required podCIDRs, milliseconds (kube-proxy-ipvs §1.6). */
  readonly podNetworkTimeoutMilliseconds?: number;
}

/** The facts of a Node that are logged. */
const factsOf = ({ addresses, zone, podCidrs }: Node) => ({
  addresses,
  zone,
  podCIDRs: podCidrs.map(({ text }) => text),
});

/** Logs the facts of the Node, changes, missing facts, and settings that do not fit it, each once. */
export class NodeReporter {
  #node: Node | undefined;
  #settings: Settings | undefined;
  #facts = '';
  #missingReported = false;
  #podNetworkTimer: NodeJS.Timeout | undefined;
  readonly #warnings = new StateLog();

  constructor(private readonly parts: NodeReporterParts) {}

  /** Runs when the store or the settings may have changed; costs nothing if they have not. */
  report(): void {
    const { store, settings } = this.parts;
    if (!store.synced) return;
    if (store.node === undefined && !this.#missingReported) this.#reportMissing(settings());
    if (store.node === this.#node && settings() === this.#settings) return;
    this.#node = store.node;
    this.#settings = settings();
    if (this.#node !== undefined) this.#reportFacts(this.#node);
    this.#checkPodNetworks(this.#settings);
    this.#reportWarnings(this.#settings);
  }

  #reportMissing({ source, nodeName }: Settings): void {
    this.#missingReported = true;
    // Manifests need not hold a Node.
    if (source.from === 'api')
      this.parts.log.error(
        {
          event: 'node-unknown',
          node: nodeName,
          remedy: 'Check --hostname-override, and that kube-ipvs may list and watch nodes.',
        },
        'Node unknown: its zone, addresses and pod networks are not used until it appears',
      );
  }

  #reportFacts(node: Node): void {
    const facts = factsOf(node);
    const text = JSON.stringify(facts);
    if (text === this.#facts) return;
    this.parts.log.info(
      { event: this.#facts === '' ? 'node-known' : 'node-changed', node: node.name, ...facts },
      this.#facts === '' ? 'Node known' : 'Node changed',
    );
    this.#facts = text;
  }

  #checkPodNetworks(settings: Settings): void {
    const { log } = this.parts;
    const isUnknown = podNetworksUnknown(settings, this.#node);
    if (isUnknown === (this.#podNetworkTimer !== undefined)) return;
    if (!isUnknown) {
      clearTimeout(this.#podNetworkTimer);
      this.#podNetworkTimer = undefined;
      log.info({ event: 'pod-networks-known' }, 'Pod networks of this node known; updating the packet rules');
      return;
    }
    log.warn(
      { event: 'pod-networks-unknown', node: settings.nodeName },
      'detectLocalMode is NodeCIDR but the Node has no spec.podCIDRs: every connection to a ClusterIP is masqueraded',
    );
    const { podNetworkTimeoutMilliseconds = 5 * 60_000 } = this.parts;
    this.#podNetworkTimer = setTimeout(
      () => this.#reportPodNetworksMissing(settings.nodeName),
      podNetworkTimeoutMilliseconds,
    );
    this.#podNetworkTimer.unref();
  }

  #reportPodNetworksMissing(name: string): void {
    const problem =
      'detectLocalMode is NodeCIDR but the Node has no spec.podCIDRs: every connection to a ClusterIP is masqueraded';
    const remedy =
      'Let the controller manager allocate them (--allocate-node-cidrs), or set detectLocalMode: ClusterCIDR.';
    this.parts.log.error({ event: 'pod-networks-missing', node: name, remedy }, problem);
    const note = `${problem}. ${remedy}`;
    const regarding = { kind: 'Node', name } as const;
    this.parts.events.record({
      regarding,
      type: 'Warning',
      reason: 'PodCIDRsMissing',
      action: 'WaitForPodCIDRs',
      note,
    });
  }

  #reportWarnings(settings: Settings): void {
    const warnings = sanityWarnings({ settings, node: this.#node, served: this.parts.served });
    this.#warnings.endOthers(new Set(warnings));
    for (const warning of warnings)
      this.#warnings.begin(warning, '', () =>
        this.parts.log.warn({ event: 'configuration-warning', warning }, 'Configuration warning'),
      );
  }
}
