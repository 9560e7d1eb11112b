import { bootMilliseconds } from '../../base/boot-clock.js';
import { release } from 'node:os';
import type { Retries } from '../../apply/retries.js';
import { version } from '../../base/version.js';
import { configDigest } from '../../config/print.js';
import {
  adminVersion,
  type LingeringServerAnswer,
  type PacketRulesAnswer,
  type RefusalAnswer,
  type StatusAnswer,
} from '../../plan/admin-answers.js';
import type { Contested } from '../../plan/contested.js';
import type { Desired } from '../../plan/desired.js';
import type { Source } from '../../watch/source.js';
import type { Names } from './names.js';
import type { LiveSettings } from '../live-settings.js';
import type { Wired } from '../wiring.js';

export interface StatusParts {
  readonly wired: Pick<
    Wired,
    | 'store'
    | 'observed'
    | 'reconciler'
    | 'contested'
    | 'drift'
    | 'wanted'
    | 'health'
    | 'families'
    | 'lastSync'
    | 'lostNodes'
    | 'packetRules'
  >;
  readonly settings: LiveSettings;
  readonly source: Pick<Source, 'name' | 'health'>;
  readonly names: Pick<Names, 'allLingering'>;
}

const mostRefusals = 100;
const mostLingering = 100;

type Failures = ReturnType<Retries<unknown>['failures']>;

/** As of a time of the clock of the failures. */
export function* refusalAnswers(failures: Failures, now: number): Iterable<RefusalAnswer> {
  for (const { what, reason, since, dueAt } of failures)
    yield {
      what,
      reason,
      seconds: Math.max(0, now - since) / 1_000,
      ...(dueAt === Infinity ? {} : { nextTrySeconds: Math.max(0, dueAt - now) / 1_000 }),
    };
}

const packetRulesAnswers = ({ packetRules, families }: StatusParts['wired']): StatusAnswer['packetRules'] => {
  const answers: Record<string, PacketRulesAnswer> = {};
  for (const family of families) {
    const trouble = packetRules.troubleOf(family) ?? 'the kernel has no nftables for this family';
    answers[family] = packetRules.inForce.includes(family) ? { inForce: true } : { inForce: false, trouble };
  }
  return answers;
};

const problemCount = (desired: Desired): number => {
  let count = desired.clashes().length;
  for (const { problems } of desired.fragments()) count += problems.length;
  return count;
};

const countsOf = ({
  observed,
  wanted,
  reconciler,
  contested,
}: StatusParts['wired']): StatusAnswer['counts'] => {
  const { virtualServers, realServers, addresses, elements } = observed.sizes();
  let draining = 0;
  for (const servers of reconciler.drains.draining.values()) draining += servers.size;
  return {
    services: wanted.desired.serviceCount,
    virtualServers,
    realServers,
    addresses,
    packetRuleElements: elements,
    foreignVirtualServers: contested.foreign,
    draining,
    lingering: wanted.lingering.size,
    problems: problemCount(wanted.desired),
  };
};

const contestedAnswers = (contested: Contested): StatusAnswer['contested'] =>
  [...contested.all()].map(({ key, service }) => ({ virtualServer: key, service }));

const lingeringAnswers = (names: StatusParts['names']): StatusAnswer['lingering'] => {
  const answers: LingeringServerAnswer[] = [];
  for (const [virtualServer, { service, lingering }] of names.allLingering()) {
    answers.push({ virtualServer, ...(service === undefined ? {} : { service }), ...lingering });
    if (answers.length === mostLingering) break;
  }
  return answers;
};

const sourceAnswer = (source: StatusParts['source']): StatusAnswer['source'] => {
  const { delivered, trouble } = source.health();
  return { name: source.name, delivered, ...(trouble === undefined ? {} : { trouble }) };
};

const portsAnswer = ({ now: { configuration } }: LiveSettings): StatusAnswer['ports'] => {
  const ports = { health: configuration.healthzBindAddress, metrics: configuration.metricsBindAddress };
  return Object.fromEntries(Object.entries(ports).filter(([, address]) => address !== ''));
};

const processAnswer = () => ({
  programVersion: version,
  pid: process.pid,
  startedAt: new Date(performance.timeOrigin).toISOString(),
  uptimeSeconds: Math.round(process.uptime()),
  kernelRelease: release(),
});

/** How the daemon does. Costs one look at each virtual server. */
export const statusAnswer = ({ wired, settings, source, names }: StatusParts): StatusAnswer => {
  const { store, reconciler, lastSync, health } = wired;
  const refused = [...refusalAnswers(reconciler.failures(), bootMilliseconds())];
  const sync = lastSync.answer();
  const zone = store.node?.zone ?? '';
  return {
    version: adminVersion,
    ...processAnswer(),
    node: settings.now.nodeName,
    ...(zone === '' ? {} : { zone }),
    scheduler: settings.now.scheduler,
    configDigest: configDigest(settings.now),
    configFiles: settings.now.configFiles,
    source: sourceAnswer(source),
    synced: lastSync.synced,
    healthy: health.health().healthy,
    ...(sync === undefined ? {} : { lastSync: sync }),
    counts: countsOf(wired),
    refused: refused.slice(0, mostRefusals),
    refusedCount: refused.length,
    contested: contestedAnswers(wired.contested),
    lingering: lingeringAnswers(names),
    lostNodes: wired.lostNodes.lost(),
    drift: wired.drift.counts.filter(({ count }) => count > 0),
    packetRules: packetRulesAnswers(wired),
    ports: portsAnswer(settings),
  };
};
