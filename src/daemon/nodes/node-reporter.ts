import type { Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
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
  /** How long a Node may be without podCIDRs where they are needed, milliseconds (kube-proxy-ipvs §1.6). */
  readonly podNetworkTimeoutMilliseconds?: number;
}

/** What people want to see of a Node. */
const factsOf = ({ addresses, zone, podCidrs }: Node) => ({
  addresses,
  zone,
  podCIDRs: podCidrs.map(({ text }) => text),
});

/** Says what is known of the Node, what changed of it, what is missing, and what does not fit the settings: each once. */
export class NodeReporter {
  #node: Node | undefined;
  #settings: Settings | undefined;
  #facts = '';
  #missingReported = false;
  #podNetworkTimer: NodeJS.Timeout | undefined;
  #reportedWarnings: ReadonlySet<string> = new Set();

  constructor(private readonly parts: NodeReporterParts) {}

  /** To be called when the store or the settings may have changed; costs nothing where the Node has not. */
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
        { node: nodeName },
        'the Node is not known: its zone, addresses and pod networks count once it is; see --hostname-override, and whether we may list and watch nodes',
      );
  }

  #reportFacts(node: Node): void {
    const facts = factsOf(node);
    const text = JSON.stringify(facts);
    if (text === this.#facts) return;
    this.parts.log.info(
      { node: node.name, ...facts },
      this.#facts === '' ? 'the Node is known' : 'the Node changed',
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
      log.info({}, 'the networks of the pods of this node are known; the rules follow');
      return;
    }
    log.warn(
      { node: settings.nodeName },
      'detectLocalMode NodeCIDR, and the Node has no spec.podCIDRs yet: until it has, every request to a ClusterIP is masqueraded',
    );
    const { podNetworkTimeoutMilliseconds = 5 * 60_000 } = this.parts;
    this.#podNetworkTimer = setTimeout(
      () => this.#reportPodNetworksMissing(settings.nodeName),
      podNetworkTimeoutMilliseconds,
    );
    this.#podNetworkTimer.unref();
  }

  #reportPodNetworksMissing(name: string): void {
    const note =
      'detectLocalMode is NodeCIDR, and nobody has given this Node spec.podCIDRs: every request to a ClusterIP is masqueraded. Let the controller manager allocate them (--allocate-node-cidrs), or set detectLocalMode: ClusterCIDR';
    this.parts.log.error({ node: name }, note);
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
    for (const warning of warnings)
      if (!this.#reportedWarnings.has(warning)) this.parts.log.warn({ warning }, 'configuration');
    this.#reportedWarnings = new Set(warnings);
  }
}
