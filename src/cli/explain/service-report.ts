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
import type { Trace } from './trace-packet.js';

/** All of them, in the order of the story. */
export const reportChecks: Readonly<Record<SectionId, readonly ReportCheck[]>> = {
  service: serviceChecks,
  endpoints: endpointChecks,
  kernel: kernelChecks,
  'packet-rules': packetRuleChecks,
  node: nodeChecks,
  daemon: daemonChecks,
};

export interface ReportLine extends CheckLine {
  /** Of the judgement. */
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
  /** What to do next; absent where there is nothing to do. */
  readonly next?: string;
}

export interface ServiceReport {
  /** What it is about: `shop/web`, or the target where no Service asks for it. */
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
  return ` in the kernel as wanted, with ${formatCount(active, 'active connection')}`;
};

const healthyText = ({ served, service, kernel, target }: ReportFacts): string => {
  if (service === undefined) return `${target} is in the kernel; whether that is right nobody can tell here`;
  const [subject, verb] =
    served.length === 1 ? ['its virtual server', 'is'] : [`all ${served.length} virtual servers`, 'are'];
  const where = 'value' in kernel ? activeText(kernel.value, served) : ' as the daemon wants';
  return `${service.service.name} is well: ${subject} ${verb}${where}`;
};

const endWords: Readonly<Record<Trace['end'], string>> = {
  answered: 'perhaps not answered',
  refused: 'refused',
  dropped: 'dropped',
  nowhere: 'not delivered',
  node: 'not taken by IPVS',
};

/** A packet that is not answered, be it as it should: it was asked about. */
const stoppedPacketLines = ({ to, from, end, steps }: Trace): readonly CheckLine[] => {
  const step =
    steps.find(({ mark }) => mark === 'fail') ??
    steps.find(({ id, mark }) => id === 'answer' && mark === 'warn');
  if (step === undefined) return [];
  const who = from.address === undefined ? 'this node' : `${from.address} (${from.who})`;
  return [
    {
      mark: 'warn',
      text: `a packet of ${who} to ${to.protocol} ${formatSocketAddress(to.address, to.port)} is ${endWords[end]}: ${step.text}`,
    },
  ];
};

/** The worst that was found, the first of it: what comes first in the story is the cause of what follows. */
const verdictOf = (facts: ReportFacts, sections: readonly Section[], traces: readonly Trace[]): Verdict => {
  const lines: readonly CheckLine[] = [
    ...sections.flatMap((section) => section.lines),
    ...traces.flatMap(stoppedPacketLines),
  ];
  for (const mark of ['fail', 'warn'] as const) {
    const found = lines.filter((line) => line.mark === mark);
    const [worst] = found;
    if (worst === undefined) continue;
    const more =
      found.length > 1
        ? ` (and ${found.length - 1} more ${mark === 'fail' ? 'wrong' : 'to look at'}, above)`
        : '';
    return {
      mark,
      text: `${worst.text}${more}`,
      ...(worst.next === undefined ? {} : { next: worst.next }),
    };
  }
  return { mark: 'ok', text: healthyText(facts) };
};

/** What there is to tell of a target. */
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
