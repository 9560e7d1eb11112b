import { formatSocketAddress } from '../../base/ip.js';
import { count } from '../../base/text.js';
import { endpointJudgements } from './endpoint-judgements.js';
import {
  sectionTitles,
  type Judgement,
  type KernelLook,
  type Line,
  type Mark,
  type SectionId,
  type StoryFacts,
} from './facts.js';
import { kernelJudgements, packetRuleJudgements } from './kernel-judgements.js';
import { daemonJudgements, nodeJudgements } from './node-judgements.js';
import { serviceJudgements } from './service-judgements.js';
import type { Trace } from './trace.js';

/** All of them, in the order of the story. */
export const judgements: Readonly<Record<SectionId, readonly Judgement[]>> = {
  service: serviceJudgements,
  endpoints: endpointJudgements,
  kernel: kernelJudgements,
  'packet-rules': packetRuleJudgements,
  node: nodeJudgements,
  daemon: daemonJudgements,
};

export interface StoryLine extends Line {
  /** Of the judgement. */
  readonly id: string;
}

export interface Section {
  readonly id: SectionId;
  readonly title: string;
  readonly lines: readonly StoryLine[];
}

export interface Verdict {
  readonly mark: Exclude<Mark, 'note'>;
  readonly text: string;
  /** What to do next; absent where there is nothing to do. */
  readonly next?: string;
}

export interface Story {
  /** What it is about: `shop/web`, or the target where no Service asks for it. */
  readonly subject: string;
  readonly sections: readonly Section[];
  readonly traces: readonly Trace[];
  readonly verdict: Verdict;
}

const sectionOf = (id: SectionId, facts: StoryFacts): Section => ({
  id,
  title: sectionTitles[id],
  lines: judgements[id].flatMap((judgement) =>
    judgement.look(facts).map((line): StoryLine => ({ id: judgement.id, ...line })),
  ),
});

const activeText = ({ tables }: KernelLook, served: StoryFacts['served']): string => {
  const active = served
    .flatMap(({ key }) => [...(tables.get(key)?.realServers.values() ?? [])])
    .reduce((sum, { activeConnections }) => sum + activeConnections, 0);
  return ` in the kernel as wanted, with ${count(active, 'active connection')}`;
};

const wellText = ({ served, service, kernel, target }: StoryFacts): string => {
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
const stopped = ({ to, from, end, steps }: Trace): readonly Line[] => {
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
const verdictOf = (facts: StoryFacts, sections: readonly Section[], traces: readonly Trace[]): Verdict => {
  const lines: readonly Line[] = [
    ...sections.flatMap((section) => section.lines),
    ...traces.flatMap(stopped),
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
  return { mark: 'ok', text: wellText(facts) };
};

/** What there is to tell of a target. */
export const storyOf = (facts: StoryFacts, traces: readonly Trace[]): Story => {
  const ids = Object.keys(judgements) as SectionId[];
  const sections = ids.map((id) => sectionOf(id, facts)).filter(({ lines }) => lines.length > 0);
  return {
    subject: facts.service?.service.name ?? facts.target,
    sections,
    traces,
    verdict: verdictOf(facts, sections, traces),
  };
};
