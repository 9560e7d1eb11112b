import { InputError } from '../../base/errors.js';
import { printableLines } from '../../base/text.js';
import { UsageError } from '../../config/flags.js';
import type { ServedAnswer, ServiceStoryAnswer, VirtualServersAnswer } from '../../plan/admin-answers.js';
import { askDaemon, type AdminClient } from '../admin-client.js';
import { dumpJsonTexts } from '../dump-json.js';
import { exitStatus } from '../command.js';
import { tablesInOrder } from '../../plan/table-order.js';
import { paletteFor } from '../paint.js';
import { parseFrom, type From } from './asker.js';
import type { StoryFacts } from './facts.js';
import {
  find,
  isNameless,
  lingeringOf,
  meansKey,
  parseWish,
  suggestion,
  type Found,
  type Wish,
} from './find.js';
import { lookAtKernel, lookAtNode } from './look.js';
import { storyOf, type Story } from './story.js';
import { storyText } from './text.js';
import { mostTraced, tracesOf } from './traces.js';
import type { Destination } from './trace.js';

export interface ExplainOptions {
  readonly namespace: string | undefined;
  /** Who sends the packet that is traced; undefined: none is. */
  readonly from: string | undefined;
  readonly output: 'text' | 'json' | 'yaml';
  readonly adminSocket: string | undefined;
}

/** Stories of so many Services are told at once. */
const mostStories = 5;

/** What the daemon knows of the wish. */
interface Told {
  readonly found: readonly Found[];
  readonly stories: readonly (readonly [Found, ServiceStoryAnswer])[];
  /** Of Services that are gone, what the daemon says of what lingers of them. */
  readonly gone: readonly string[];
  /** Where nothing was found. */
  readonly all: VirtualServersAnswer | undefined;
}

const ask = async (client: AdminClient, wish: Wish): Promise<Told> => {
  const found = await find(client, wish);
  const all = found.length === 0 ? await client.virtualServers() : undefined;
  const stories: (readonly [Found, ServiceStoryAnswer])[] = [];
  const gone: string[] = [];
  const tell = async (service: string, one: Found | undefined): Promise<void> => {
    const [namespace = '', name = ''] = service.split('/');
    const { story, missing } = await client.service(namespace, name);
    if (missing !== undefined) gone.push(missing);
    else if (one !== undefined) stories.push([one, story]);
  };
  for (const one of found.slice(0, mostStories)) await tell(one.service, one);
  for (const service of all === undefined ? [] : lingeringOf(all, wish)) await tell(service, undefined);
  return { found, stories, gone, all };
};

const fromOf = ({ from }: ExplainOptions): From | undefined => {
  if (from === undefined) return undefined;
  const parsed = parseFrom(from);
  if (parsed === undefined)
    throw new UsageError(
      `--from=${from} is nobody: pod, node, outside, an address, or pod=ADDRESS, outside=ADDRESS`,
    );
  return parsed;
};

/** A name that stands for several Services, each as it is to be asked for. */
const ambiguous = (target: string, found: readonly Found[]): string =>
  [
    `${target} may mean ${found.length} Services; ask for one of them:`,
    ...found.slice(0, 20).map(({ service, because }) => `  kube-ipvs explain ${service}   (${because})`),
    ...(found.length > 20 ? [`  and ${found.length - 20} more`] : []),
    '',
  ].join('\n');

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.\n`;

const notFound = (target: string, { gone, all }: Pick<Told, 'gone' | 'all'>, wish: Wish): string => {
  if (gone.length > 0) return gone.map(sentence).join('');
  const meant = all && suggestion(all, wish);
  return `There is no ${target} that kube-ipvs serves here (headless and ExternalName Services and those with a service-proxy-name are not its)${
    meant === undefined ? '; `kube-ipvs dump` shows what there is' : `; did you mean ${meant}?`
  }\n`;
};

const destinationOf = (wish: Wish): Destination | undefined => {
  if (wish.by !== 'address' || wish.target.port === undefined) return undefined;
  const { protocol } = wish;
  return {
    address: wish.target.address,
    port: wish.target.port,
    protocol: protocol === 'UDP' || protocol === 'SCTP' ? protocol : 'TCP',
  };
};

const kernelJson = ({ kernel }: StoryFacts): unknown => {
  if (!('value' in kernel)) return undefined;
  const { tables, dummyAddresses } = kernel.value;
  const texts = dumpJsonTexts(
    { tables: tablesInOrder([...tables.values()]), dummyAddresses: [...dummyAddresses] },
    { statistics: true, rates: true },
  );
  return JSON.parse([...texts].join(''));
};

const reportOf = (target: string, told: readonly (readonly [StoryFacts, Story])[]): object => ({
  version: 1,
  target,
  stories: told.map(([facts, story]) => ({ ...story, service: facts.service, kernel: kernelJson(facts) })),
});

const print = async (
  target: string,
  told: readonly (readonly [StoryFacts, Story])[],
  { output }: ExplainOptions,
): Promise<void> => {
  if (output === 'text') {
    const palette = paletteFor(process.stdout, process.env);
    process.stdout.write(told.map(([, story]) => storyText(story, palette)).join(`\n${'─'.repeat(40)}\n\n`));
    return;
  }
  const report = reportOf(target, told);
  if (output === 'json') return void process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  const { formatYaml } = await import('../../base/yaml.js');
  process.stdout.write(formatYaml(JSON.parse(JSON.stringify(report))));
};

/** The virtual servers that the target means; of a node port that has several addresses all. */
const servedOf = ({ means }: Found, story: ServiceStoryAnswer): readonly ServedAnswer[] =>
  story.virtualServers.filter(means);

interface Asked {
  readonly target: string;
  readonly wish: Wish;
  readonly from: From | undefined;
  readonly told: Told | undefined;
}

const look = async (
  { target, wish, from, told }: Asked,
  options: ExplainOptions,
): Promise<readonly (readonly [StoryFacts, Story])[]> => {
  const stories = told?.stories ?? [];
  const keys = new Set(stories.flatMap(([found, story]) => servedOf(found, story).map(({ key }) => key)));
  const isNamed = meansKey(wish);
  const kernel = await lookAtKernel((_, key) => keys.has(key) || (stories.length === 0 && isNamed(key)));
  const asked = await askDaemon(options.adminSocket, (client) => client.status());
  const status: StoryFacts['status'] =
    asked.why === undefined
      ? { value: asked.answer }
      : { unseen: asked.why, remedy: 'start kube-ipvs on this node' };
  const node = await lookAtNode(kernel, status);
  const facts = (found: Found | undefined, service: ServiceStoryAnswer | undefined): StoryFacts => ({
    target,
    service,
    served: found === undefined || service === undefined ? [] : servedOf(found, service),
    pod: found?.pod,
    kernel,
    node,
    status,
  });
  const all =
    stories.length === 0
      ? [facts(undefined, undefined)]
      : stories.map(([found, story]) => facts(found, story));
  return all.map((each) => [
    each,
    storyOf(each, from === undefined ? [] : tracesOf(each, from, destinationOf(wish))),
  ]);
};

/** Whether the kernel has something that only addresses tell. */
const isInKernel = (told: readonly (readonly [StoryFacts, Story])[]): boolean =>
  told.some(
    ([{ kernel, served }]) => served.length > 0 || ('value' in kernel && kernel.value.tables.size > 0),
  );

const tellOfLimits = (told: readonly (readonly [StoryFacts, Story])[], found: readonly Found[]): void => {
  if (found.length > mostStories)
    process.stderr.write(
      `${found.length - mostStories} more Services are meant: ${found
        .slice(mostStories, 20)
        .map(({ service }) => service)
        .join(', ')}\n`,
    );
  if (told.some(([{ served }, { traces }]) => traces.length === mostTraced && served.length > mostTraced))
    process.stderr.write(`Only ${mostTraced} paths are traced; name an address and port for another.\n`);
};

/** Tells the story of a target; 1 where something of it is wrong, or there is no such thing. Rejects with an InputError for a target that is none, and for a name where no daemon tells any. */
export const explain = async (target: string, options: ExplainOptions): Promise<number> => {
  const wish = parseWish(target, options.namespace);
  const from = fromOf(options);
  const answered = await askDaemon(options.adminSocket, (client) => ask(client, wish));
  if (answered.why !== undefined && !isNameless(wish))
    throw new InputError(
      `${answered.why}; without a daemon only an address or a node port can be explained, by what the kernel has: kube-ipvs explain 10.96.0.1:443. In a cluster ask in the pod: kubectl -n kube-system exec POD -- kube-ipvs explain ${target}`,
    );
  const told = answered.answer;
  const isList =
    wish.by === 'bare-name' && (told?.found.length ?? 0) > 1 && told?.stories[0]?.[0].pod === undefined;
  if (told !== undefined && (isList || (told.stories.length === 0 && !isNameless(wish)))) {
    process.stderr.write(
      printableLines(isList ? ambiguous(target, told.found) : notFound(target, told, wish)),
    );
    return exitStatus.error;
  }
  const stories = await look({ target, wish, from, told }, options);
  if (told?.found.length === 0 && !isInKernel(stories) && from === undefined) {
    process.stderr.write(notFound(target, told, wish));
    return exitStatus.error;
  }
  for (const text of told?.gone ?? []) process.stderr.write(printableLines(sentence(text)));
  await print(target, stories, options);
  tellOfLimits(stories, told?.found ?? []);
  if (from !== undefined && stories.every(([, { traces }]) => traces.length === 0))
    process.stderr.write(
      `No path is traced: ${target} has no address of the family of ${options.from}, or the kernel cannot be read.\n`,
    );
  return stories.some(([, { verdict }]) => verdict.mark === 'fail') ? exitStatus.error : exitStatus.done;
};
