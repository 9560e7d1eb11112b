import { InputError } from '../../base/errors.js';
import type { IpAddress } from '../../base/ip.js';
import type { BoundVips, VipBinding } from '../../model/settings/vip-binding.js';
import { UsageError } from '../../config/parse-flags.js';
import type { ServiceReportResponse, VirtualServersResponse } from '../../admin-api/responses.js';
import { advise, remedyText, type Remedy } from '../../doctor/remedy.js';
import { protocols } from '../../base/protocol.js';
import { queryDaemon, type AdminClient } from '../admin/admin-client.js';
import { dumpJsonTexts } from '../dump/dump-json.js';
import { exitStatus } from '../framework/command.js';
import { virtualServersInOrder } from '../../plan/output/sort-order.js';
import { paletteFor } from '../output/palette.js';
import { printDiagnostic } from '../output/standard-output.js';
import { parseSourceOption, type SourceOption } from './packet-source.js';
import {
  serviceEndpoint,
  servedVirtualServer,
  type AddressIdentity,
  type KernelFacts,
  type ReportFacts,
  type ServedVirtualServer,
} from './facts.js';
import {
  findServices,
  isNumericTarget,
  orphanedServices,
  identityMatcherFor,
  parseExplainTarget,
  suggestName,
  type FoundService,
  type ExplainTarget,
} from './find-services.js';
import { namesOf, type InstanceOptions } from '../admin/instance.js';
import { readKernelFacts, runNodeChecks } from './collect-facts.js';
import { buildServiceReport, type ServiceReport } from './service-report.js';
import { serviceReportText } from './service-report-text.js';
import { maximumTraces, traceTargets } from './trace-targets.js';

export interface ExplainOptions extends InstanceOptions {
  readonly namespace: string | undefined;
  /** The sender of the packet to trace; undefined: no trace. */
  readonly from: string | undefined;
  readonly output: 'text' | 'json' | 'yaml';
}

/** At most this many Services are explained at once. */
const maximumReports = 5;

/** What the daemon knows of the target. */
interface DaemonFindings {
  readonly services: readonly FoundService[];
  readonly reports: readonly (readonly [FoundService, ServiceReportResponse])[];
  /** The daemon's messages about deleted Services with virtual servers left. */
  readonly gone: readonly string[];
  /** All virtual servers, if the target was not found. */
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
      `--from: invalid value "${from}" (expected pod, node, outside, an address, pod=ADDRESS or outside=ADDRESS)`,
    );
  return parsed;
};

/** For a name that several Services have: the command for each. */
const ambiguous = (target: string, found: readonly FoundService[]): string =>
  [
    `"${target}" matches ${found.length} Services; name one of them:`,
    ...found.slice(0, 20).map(({ service, because }) => `  kube-ipvs explain ${service}   (${because})`),
    ...(found.length > 20 ? [`  and ${found.length - 20} more`] : []),
  ].join('\n');

const notFoundMessage = (
  target: string,
  { gone: orphanMessages, all }: Pick<DaemonFindings, 'gone' | 'all'>,
  parsed: ExplainTarget,
): string => {
  if (orphanMessages.length > 0) return orphanMessages.join('\n');
  const meant = all && suggestName(all, parsed);
  const hint =
    meant === undefined ? 'Run `kube-ipvs dump` to list the virtual servers.' : `Did you mean ${meant}?`;
  return (
    `target "${target}" not found. ${hint}\n` +
    'kube-ipvs does not serve headless and ExternalName Services and Services with a service-proxy-name label.'
  );
};

/** Of a target that no Service requests. */
const identityOf = (target: ExplainTarget): AddressIdentity | undefined => {
  if (target.by !== 'address' || target.target.port === undefined) return undefined;
  const { address, port } = target.target;
  const protocol = protocols.find((one) => one === target.protocol) ?? 'TCP';
  return { by: 'address', protocol, address, port };
};

const boundVips = (vips: KernelFacts['vips']): BoundVips => {
  const boundBy = (binding: VipBinding): readonly IpAddress[] =>
    [...vips].filter(([, bindings]) => bindings.includes(binding)).map(([address]) => address);
  return { address: boundBy('address'), route: boundBy('route') };
};

const kernelJson = ({ kernel }: ReportFacts): unknown => {
  if (!('value' in kernel)) return undefined;
  const { virtualServers, vips } = kernel.value;
  const texts = dumpJsonTexts(
    {
      virtualServers: virtualServersInOrder([...virtualServers.values()]),
      vips: boundVips(vips),
    },
    { statistics: true, rates: true },
  );
  return JSON.parse([...texts].join(''));
};

/** `next` and `remedies` are absent where there is nothing to do. */
const withRemediesJson = ({ remedies = [], ...rest }: { readonly remedies?: readonly Remedy[] }): object => ({
  ...rest,
  ...(remedies.length === 0 ? {} : { next: remedyText(remedies), remedies }),
});

const reportJson = ({ sections, verdict, ...report }: ServiceReport): object => ({
  ...report,
  sections: sections.map(({ lines, ...section }) => ({ ...section, lines: lines.map(withRemediesJson) })),
  verdict: withRemediesJson(verdict),
});

const reportsJson = (
  target: string,
  reports: readonly (readonly [ReportFacts, ServiceReport])[],
): object => ({
  version: 1,
  target,
  stories: reports.map(([facts, report]) => ({
    ...reportJson(report),
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
      reports.map(([, report]) => serviceReportText(report, palette)).join(`\n${'─'.repeat(40)}\n\n`),
    );
    return;
  }
  const report = reportsJson(target, reports);
  if (output === 'json') return void process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  const { formatYaml } = await import('../../base/yaml.js');
  process.stdout.write(formatYaml(JSON.parse(JSON.stringify(report))));
};

/**
 * The virtual servers that the target selects, those for requests from the cluster included; of a node port on several
 * addresses all.
 */
const servedOf = (
  { matches }: FoundService,
  { virtualServers }: ServiceReportResponse,
): readonly ServedVirtualServer[] => {
  const all = virtualServers.map(servedVirtualServer);
  const matching = all.filter(matches);
  const inCluster = new Set(matching.map(({ inCluster: key }) => key));
  return all.filter((served) => matching.includes(served) || inCluster.has(served.key));
};

interface ExplainRequest {
  readonly target: string;
  readonly parsed: ExplainTarget;
  readonly source: SourceOption | undefined;
  readonly findings: DaemonFindings | undefined;
}

const readStatus = async (options: InstanceOptions): Promise<ReportFacts['status']> => {
  const { response, reason } = await queryDaemon(options, (client) => client.status());
  if (reason === undefined) return { value: response };
  return {
    unavailable: reason,
    remedies: [
      advise('Start kube-ipvs on this node.'),
      advise(
        'Where it runs in a pod, run the command in the pod.',
        'kubectl -n kube-system exec POD -- kube-ipvs explain TARGET',
      ),
    ],
  };
};

const buildReports = async (
  { target, parsed, source, findings }: ExplainRequest,
  options: ExplainOptions,
): Promise<readonly (readonly [ReportFacts, ServiceReport])[]> => {
  const reports = findings?.reports ?? [];
  const keys = new Set(reports.flatMap(([found, report]) => servedOf(found, report).map(({ key }) => key)));
  const names = namesOf(options);
  const isTarget = identityMatcherFor(parsed);
  const kernel = await readKernelFacts(
    names,
    (identity, key) => keys.has(key) || (reports.length === 0 && isTarget(identity)),
  );
  const status = await readStatus(options);
  const node = await runNodeChecks(names, kernel, status);
  const facts = (
    found: FoundService | undefined,
    service: ServiceReportResponse | undefined,
  ): ReportFacts => ({
    target,
    service,
    served: found === undefined || service === undefined ? [] : servedOf(found, service),
    endpoints: (service?.endpoints ?? []).map(serviceEndpoint),
    pod: found?.pod,
    kernel,
    node,
    status,
  });
  const all =
    reports.length === 0
      ? [facts(undefined, undefined)]
      : reports.map(([found, report]) => facts(found, report));
  return all.map((each) => [
    each,
    buildServiceReport(each, source === undefined ? [] : traceTargets(each, source, identityOf(parsed))),
  ]);
};

/** Whether the kernel has a virtual server at the target. */
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
    printDiagnostic(
      `${found.length - maximumReports} more Services match: ${found
        .slice(maximumReports, 20)
        .map(({ service }) => service)
        .join(', ')}`,
    );
  if (
    reports.some(
      ([{ served }, { traces }]) => traces.length === maximumTraces && served.length > maximumTraces,
    )
  )
    printDiagnostic(
      `only ${maximumTraces} packets are traced. Name an address and port to trace another one.`,
    );
};

/** Several Services have the name, or none: what is printed instead of a report; undefined where there is one. */
const unresolvedMessage = (
  target: string,
  parsed: ExplainTarget,
  findings: DaemonFindings | undefined,
): string | undefined => {
  if (findings === undefined) return undefined;
  const { services, reports } = findings;
  const isAmbiguous = parsed.by === 'bare-name' && services.length > 1 && reports[0]?.[0].pod === undefined;
  if (isAmbiguous) return ambiguous(target, services);
  return reports.length === 0 && !isNumericTarget(parsed)
    ? notFoundMessage(target, findings, parsed)
    : undefined;
};

const queryFindings = async (
  target: string,
  parsed: ExplainTarget,
  options: ExplainOptions,
): Promise<DaemonFindings | undefined> => {
  const { response, reason } = await queryDaemon(options, (client) => findReports(client, parsed));
  if (reason !== undefined && !isNumericTarget(parsed))
    throw new InputError(
      `${reason} Without the daemon, explain accepts only an address or a node port, for example 10.96.0.1:443. ` +
        `In a cluster, run it in the pod: kubectl -n kube-system exec POD -- kube-ipvs explain ${target}`,
    );
  return response;
};

/** Explains a target; 1 where something is wrong with it, or it is not found. Rejects with an InputError for an invalid target, and for a name without a daemon. */
export const explain = async (target: string, options: ExplainOptions): Promise<number> => {
  const parsed = parseExplainTarget(target, options.namespace);
  const source = sourceOptionOf(options);
  const findings = await queryFindings(target, parsed, options);
  const message = unresolvedMessage(target, parsed, findings);
  if (message !== undefined) {
    printDiagnostic(message);
    return exitStatus.error;
  }
  const reports = await buildReports({ target, parsed, source, findings }, options);
  if (findings?.services.length === 0 && !isInKernel(reports) && source === undefined) {
    printDiagnostic(notFoundMessage(target, findings, parsed));
    return exitStatus.error;
  }
  for (const text of findings?.gone ?? []) printDiagnostic(text);
  await print(target, reports, options);
  printLimits(reports, findings?.services ?? []);
  if (source !== undefined && reports.every(([, { traces }]) => traces.length === 0))
    printDiagnostic(
      `no packet is traced: ${target} has no address of the family of ${options.from}, or the kernel cannot be read`,
    );
  return reports.some(([, { verdict }]) => verdict.mark === 'fail') ? exitStatus.error : exitStatus.success;
};
