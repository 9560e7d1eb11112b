import { InputError } from '../../base/errors.js';
import { printableLines } from '../../base/text.js';
import { UsageError } from '../../config/parse-flags.js';
import type {
  ServedVirtualServerResponse,
  ServiceReportResponse,
  VirtualServersResponse,
} from '../../admin-api/responses.js';
import { queryDaemon, type AdminClient } from '../admin/admin-client.js';
import { dumpJsonTexts } from '../dump/dump-json.js';
import { exitStatus } from '../framework/command.js';
import { virtualServersInOrder } from '../../plan/output/sort-order.js';
import { paletteFor } from '../output/palette.js';
import { parseSourceOption, type SourceOption } from './packet-source.js';
import type { ReportFacts } from './facts.js';
import {
  findServices,
  isNumericTarget,
  orphanedServices,
  keyMatcherFor,
  parseExplainTarget,
  suggestName,
  type FoundService,
  type ExplainTarget,
} from './find-services.js';
import { readKernelFacts, runNodeChecks } from './collect-facts.js';
import { buildServiceReport, type ServiceReport } from './service-report.js';
import { serviceReportText } from './service-report-text.js';
import { maximumTraces, traceTargets } from './trace-targets.js';
import type { Destination } from './trace-packet.js';

export interface ExplainOptions {
  readonly namespace: string | undefined;
  /** Who sends the packet that is traced; undefined: none is. */
  readonly from: string | undefined;
  readonly output: 'text' | 'json' | 'yaml';
  readonly adminSocket: string | undefined;
}

/** Stories of so many Services are told at once. */
const maximumReports = 5;

/** What the daemon knows of the wish. */
interface DaemonFindings {
  readonly services: readonly FoundService[];
  readonly reports: readonly (readonly [FoundService, ServiceReportResponse])[];
  /** Of Services that are gone, what the daemon says of what lingers of them. */
  readonly gone: readonly string[];
  /** Where nothing was found. */
  readonly all: VirtualServersResponse | undefined;
}

const findReports = async (client: AdminClient, target: ExplainTarget): Promise<DaemonFindings> => {
  const found = await findServices(client, target);
  const all = found.length === 0 ? await client.virtualServers() : undefined;
  const reports: (readonly [FoundService, ServiceReportResponse])[] = [];
  const orphanMessages: string[] = [];
  const addReport = async (service: string, one: FoundService | undefined): Promise<void> => {
    const [namespace = '', name = ''] = service.split('/');
    const { report, missing } = await client.service(namespace, name);
    if (missing !== undefined) orphanMessages.push(missing);
    else if (one !== undefined) reports.push([one, report]);
  };
  for (const one of found.slice(0, maximumReports)) await addReport(one.service, one);
  for (const service of all === undefined ? [] : orphanedServices(all, target))
    await addReport(service, undefined);
  return { services: found, reports, gone: orphanMessages, all };
};

const sourceOptionOf = ({ from }: ExplainOptions): SourceOption | undefined => {
  if (from === undefined) return undefined;
  const parsed = parseSourceOption(from);
  if (parsed === undefined)
    throw new UsageError(
      `--from=${from} is nobody: pod, node, outside, an address, or pod=ADDRESS, outside=ADDRESS`,
    );
  return parsed;
};

/** A name that stands for several Services, each as it is to be asked for. */
const ambiguous = (target: string, found: readonly FoundService[]): string =>
  [
    `${target} may mean ${found.length} Services; ask for one of them:`,
    ...found.slice(0, 20).map(({ service, because }) => `  kube-ipvs explain ${service}   (${because})`),
    ...(found.length > 20 ? [`  and ${found.length - 20} more`] : []),
    '',
  ].join('\n');

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.\n`;

const notFoundMessage = (
  target: string,
  { gone: orphanMessages, all }: Pick<DaemonFindings, 'gone' | 'all'>,
  parsed: ExplainTarget,
): string => {
  if (orphanMessages.length > 0) return orphanMessages.map(sentence).join('');
  const meant = all && suggestName(all, parsed);
  return `There is no ${target} that kube-ipvs serves here (headless and ExternalName Services and those with a service-proxy-name are not its)${
    meant === undefined ? '; `kube-ipvs dump` shows what there is' : `; did you mean ${meant}?`
  }\n`;
};

const destinationOf = (target: ExplainTarget): Destination | undefined => {
  if (target.by !== 'address' || target.target.port === undefined) return undefined;
  const { protocol } = target;
  return {
    address: target.target.address,
    port: target.target.port,
    protocol: protocol === 'UDP' || protocol === 'SCTP' ? protocol : 'TCP',
  };
};

const kernelJson = ({ kernel }: ReportFacts): unknown => {
  if (!('value' in kernel)) return undefined;
  const { virtualServers, dummyAddresses } = kernel.value;
  const texts = dumpJsonTexts(
    {
      virtualServers: virtualServersInOrder([...virtualServers.values()]),
      dummyAddresses: [...dummyAddresses],
    },
    { statistics: true, rates: true },
  );
  return JSON.parse([...texts].join(''));
};

const reportsJson = (
  target: string,
  reports: readonly (readonly [ReportFacts, ServiceReport])[],
): object => ({
  version: 1,
  target,
  stories: reports.map(([facts, report]) => ({
    ...report,
    service: facts.service,
    kernel: kernelJson(facts),
  })),
});

const print = async (
  target: string,
  reports: readonly (readonly [ReportFacts, ServiceReport])[],
  { output }: ExplainOptions,
): Promise<void> => {
  if (output === 'text') {
    const palette = paletteFor(process.stdout, process.env);
    process.stdout.write(
      reports.map(([, story]) => serviceReportText(story, palette)).join(`\n${'─'.repeat(40)}\n\n`),
    );
    return;
  }
  const report = reportsJson(target, reports);
  if (output === 'json') return void process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  const { formatYaml } = await import('../../base/yaml.js');
  process.stdout.write(formatYaml(JSON.parse(JSON.stringify(report))));
};

/** The virtual servers that the target means; of a node port that has several addresses all. */
const servedOf = (
  { matches: means }: FoundService,
  story: ServiceReportResponse,
): readonly ServedVirtualServerResponse[] => story.virtualServers.filter(means);

interface ExplainRequest {
  readonly target: string;
  readonly parsed: ExplainTarget;
  readonly source: SourceOption | undefined;
  readonly findings: DaemonFindings | undefined;
}

const buildReports = async (
  { target, parsed: wish, source: from, findings: told }: ExplainRequest,
  options: ExplainOptions,
): Promise<readonly (readonly [ReportFacts, ServiceReport])[]> => {
  const reports = told?.reports ?? [];
  const keys = new Set(reports.flatMap(([found, story]) => servedOf(found, story).map(({ key }) => key)));
  const isNamed = keyMatcherFor(wish);
  const kernel = await readKernelFacts((_, key) => keys.has(key) || (reports.length === 0 && isNamed(key)));
  const statusResult = await queryDaemon(options.adminSocket, (client) => client.status());
  const status: ReportFacts['status'] =
    statusResult.reason === undefined
      ? { value: statusResult.response }
      : { unavailable: statusResult.reason, remedy: 'start kube-ipvs on this node' };
  const node = await runNodeChecks(kernel, status);
  const facts = (
    found: FoundService | undefined,
    service: ServiceReportResponse | undefined,
  ): ReportFacts => ({
    target,
    service,
    served: found === undefined || service === undefined ? [] : servedOf(found, service),
    pod: found?.pod,
    kernel,
    node,
    status,
  });
  const all =
    reports.length === 0
      ? [facts(undefined, undefined)]
      : reports.map(([found, story]) => facts(found, story));
  return all.map((each) => [
    each,
    buildServiceReport(each, from === undefined ? [] : traceTargets(each, from, destinationOf(wish))),
  ]);
};

/** Whether the kernel has something that only addresses tell. */
const isInKernel = (reports: readonly (readonly [ReportFacts, ServiceReport])[]): boolean =>
  reports.some(
    ([{ kernel, served }]) =>
      served.length > 0 || ('value' in kernel && kernel.value.virtualServers.size > 0),
  );

const printLimits = (
  reports: readonly (readonly [ReportFacts, ServiceReport])[],
  found: readonly FoundService[],
): void => {
  if (found.length > maximumReports)
    process.stderr.write(
      `${found.length - maximumReports} more Services are meant: ${found
        .slice(maximumReports, 20)
        .map(({ service }) => service)
        .join(', ')}\n`,
    );
  if (
    reports.some(
      ([{ served }, { traces }]) => traces.length === maximumTraces && served.length > maximumTraces,
    )
  )
    process.stderr.write(`Only ${maximumTraces} paths are traced; name an address and port for another.\n`);
};

/** Tells the story of a target; 1 where something of it is wrong, or there is no such thing. Rejects with an InputError for a target that is none, and for a name where no daemon tells any. */
export const explain = async (target: string, options: ExplainOptions): Promise<number> => {
  const parsed = parseExplainTarget(target, options.namespace);
  const source = sourceOptionOf(options);
  const result = await queryDaemon(options.adminSocket, (client) => findReports(client, parsed));
  if (result.reason !== undefined && !isNumericTarget(parsed))
    throw new InputError(
      `${result.reason}; without a daemon only an address or a node port can be explained, by what the kernel has: kube-ipvs explain 10.96.0.1:443. In a cluster ask in the pod: kubectl -n kube-system exec POD -- kube-ipvs explain ${target}`,
    );
  const findings = result.response;
  const isList =
    parsed.by === 'bare-name' &&
    (findings?.services.length ?? 0) > 1 &&
    findings?.reports[0]?.[0].pod === undefined;
  if (findings !== undefined && (isList || (findings.reports.length === 0 && !isNumericTarget(parsed)))) {
    process.stderr.write(
      printableLines(
        isList ? ambiguous(target, findings.services) : notFoundMessage(target, findings, parsed),
      ),
    );
    return exitStatus.error;
  }
  const reports = await buildReports({ target, parsed, source, findings }, options);
  if (findings?.services.length === 0 && !isInKernel(reports) && source === undefined) {
    process.stderr.write(notFoundMessage(target, findings, parsed));
    return exitStatus.error;
  }
  for (const text of findings?.gone ?? []) process.stderr.write(printableLines(sentence(text)));
  await print(target, reports, options);
  printLimits(reports, findings?.services ?? []);
  if (source !== undefined && reports.every(([, { traces }]) => traces.length === 0))
    process.stderr.write(
      `No path is traced: ${target} has no address of the family of ${options.from}, or the kernel cannot be read.\n`,
    );
  return reports.some(([, { verdict }]) => verdict.mark === 'fail') ? exitStatus.error : exitStatus.success;
};
