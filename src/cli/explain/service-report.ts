import { formatSocketAddress } from '../../base/ip.js';
import { formatCount } from '../../base/text.js';
import { endpointChecks } from './checks/endpoint-checks.js';
import {
  sectionTitles,
  type ReportCheck,
  type KernelFacts,
  type CheckLine,
  type Mark,
  type SectionId,
  type ReportFacts,
} from './facts.js';
import { kernelChecks, packetRuleChecks } from './checks/kernel-checks.js';
import { daemonChecks, nodeChecks } from './checks/node-checks.js';
import { serviceChecks } from './checks/service-checks.js';
import type { Remedy } from '../../doctor/remedy.js';
import type { Trace } from './trace-packet.js';

/** All checks, in the order of the report: causes come before their effects. */
export const reportChecks: Readonly<Record<SectionId, readonly ReportCheck[]>> = {
  service: serviceChecks,
  endpoints: endpointChecks,
  kernel: kernelChecks,
  'packet-rules': packetRuleChecks,
  node: nodeChecks,
  daemon: daemonChecks,
};

export interface ReportLine extends CheckLine {
  /** Of the check. */
  readonly id: string;
}

export interface Section {
  readonly id: SectionId;
  readonly title: string;
  readonly lines: readonly ReportLine[];
}

export interface Verdict {
  readonly mark: Exclude<Mark, 'note'>;
  readonly text: string;
  /** How many lines of the report are errors and warnings. */
  readonly errors: number;
  readonly warnings: number;
  readonly remedies: readonly Remedy[];
}

export interface ServiceReport {
  /** The Service, `shop/web`, or the target where no Service requests it. */
  readonly subject: string;
  readonly sections: readonly Section[];
  readonly traces: readonly Trace[];
  readonly verdict: Verdict;
}

const sectionOf = (id: SectionId, facts: ReportFacts): Section => ({
  id,
  title: sectionTitles[id],
  lines: reportChecks[id].flatMap((check) =>
    check.check(facts).map((line): ReportLine => ({ id: check.id, ...line })),
  ),
});

const activeText = ({ virtualServers }: KernelFacts, served: ReportFacts['served']): string => {
  const active = served
    .flatMap(({ key }) => [...(virtualServers.get(key)?.realServers.values() ?? [])])
    .reduce((sum, { activeConnections }) => sum + activeConnections, 0);
  return `in the kernel as desired, with ${formatCount(active, 'active connection')}`;
};

const healthyText = ({ served, service, kernel, target }: ReportFacts): string => {
  if (service === undefined)
    return `${target} is in the kernel; without the daemon the desired state is unknown`;
  const [subject, verb] =
    served.length === 1 ? ['the virtual server', 'is'] : [`all ${served.length} virtual servers`, 'are'];
  const state =
    'value' in kernel ? activeText(kernel.value, served) : 'in the kernel, as far as the daemon knows';
  return `${subject} of ${service.service.name} ${verb} ${state}`;
};

const endTexts: Readonly<Record<Trace['end'], string>> = {
  answered: 'may get no reply',
  refused: 'is refused',
  dropped: 'is dropped',
  nowhere: 'does not reach IPVS',
  node: 'is not handled by IPVS',
};

/** A traced packet that gets no reply is a finding even if the configuration demands it: the user traced it. */
const stoppedPacketLines = ({ to, from, end, steps }: Trace): readonly CheckLine[] => {
  const step =
    steps.find(({ mark }) => mark === 'fail') ??
    steps.find(({ id, mark }) => id === 'answer' && mark === 'warn');
  if (step === undefined) return [];
  const who = from.address === undefined ? 'this node' : `${from.address} (${from.who})`;
  return [
    {
      mark: 'warn',
      text: `a packet from ${who} to ${to.protocol} ${formatSocketAddress(to.address, to.port)} ${endTexts[end]}: ${step.text}`,
    },
  ];
};

/** The first of the worst lines: a cause comes before its effects. */
const verdictOf = (facts: ReportFacts, sections: readonly Section[], traces: readonly Trace[]): Verdict => {
  const lines: readonly CheckLine[] = [
    ...sections.flatMap((section) => section.lines),
    ...traces.flatMap(stoppedPacketLines),
  ];
  const failed = lines.filter(({ mark }) => mark === 'fail');
  const warned = lines.filter(({ mark }) => mark === 'warn');
  const counts = { errors: failed.length, warnings: warned.length };
  const worst = failed[0] ?? warned[0];
  if (worst === undefined) return { mark: 'ok', text: healthyText(facts), ...counts, remedies: [] };
  const mark = failed.length > 0 ? 'fail' : 'warn';
  return { mark, text: worst.text, ...counts, remedies: worst.remedies ?? [] };
};

/** Makes the report of a target. */
export const buildServiceReport = (facts: ReportFacts, traces: readonly Trace[]): ServiceReport => {
  const ids = Object.keys(reportChecks) as SectionId[];
  const sections = ids.map((id) => sectionOf(id, facts)).filter(({ lines }) => lines.length > 0);
  return {
    subject: facts.service?.service.name ?? facts.target,
    sections,
    traces,
    verdict: verdictOf(facts, sections, traces),
  };
};
