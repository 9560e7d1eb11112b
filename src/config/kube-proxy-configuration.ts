import * as z from 'zod';
import { parseCidr, parseIp } from '../base/ip.js';
import type { DocumentPath } from '../base/yaml.js';
import { vipBindingNames } from '../model/vip-binding.js';
import { detectLocalModes } from './known-values.js';
import { parseDuration } from '../base/duration.js';

/** An invalid value; path and `must` form a sentence, such as `ipvs.syncPeriod` `must be a duration …`. */
export interface ConfigurationProblem {
  readonly path: DocumentPath;
  /** `must be …`. */
  readonly must: string;
  /** What to do, as a separate sentence, unless `must` says it. */
  readonly remedy?: string;
}

const second = 1e3;
const minute = 60 * second;
const hour = 60 * minute;
const maximumInt32 = 2 ** 31 - 1;

// As in Go, null (an empty value in YAML) leaves a field at its default.
const withDefault = <S extends z.ZodType>(schema: S, fallback: z.core.util.NoUndefined<z.output<S>>) =>
  z.preprocess((value) => value ?? undefined, schema.default(fallback));
const section = <Shape extends z.core.$ZodLooseShape>(shape: Shape) =>
  z.preprocess((value) => value ?? {}, z.strictObject(shape, { error: 'must be a mapping of fields' }));

const string = z.string({ error: 'must be a string; put it in quotes' });
const text = withDefault(string, '');
const bool = (fallback: boolean) => withDefault(z.boolean({ error: 'must be true or false' }), fallback);

const int = (minimum: number, maximum: number, fallback: number, zeroMeans = 0) => {
  const allowed =
    maximum === maximumInt32
      ? `must be a whole number of ${minimum} or more`
      : `must be a whole number from ${minimum} to ${maximum}`;
  const whole = z.int({ error: allowed }).min(minimum, { error: allowed }).max(maximum, { error: allowed });
  return withDefault(
    whole.transform((value) => (value === 0 ? zeroMeans : value)),
    fallback,
  );
};

/** A string that a parser accepts; the result is the parsed value. */
const parsed = <T>(parse: (text: string) => T | undefined, must: string) =>
  string.transform((value, context): T => {
    const result = parse(value);
    if (result !== undefined) return result;
    context.addIssue({ code: 'custom', message: must });
    return z.NEVER;
  });

const durationMust =
  'must be a duration, such as "30s", "1m30s" or "500ms" (or a whole number of nanoseconds)';
/** Milliseconds. If zero means the default, as for most periods, `zeroMeans` is that default. */
const duration = (fallback: number, zeroMeans = 0) =>
  withDefault(
    z
      .union([z.int().transform((nanoseconds) => nanoseconds / 1e6), parsed(parseDuration, durationMust)], {
        error: durationMust,
      })
      .transform((value) => (value === 0 ? zeroMeans : value)),
    fallback,
  );

const cidrMust = 'must be a network, such as "10.0.0.0/8" or "fd00::/64"';
const list = <S extends z.ZodType>(item: S) => withDefault(z.array(item, { error: 'must be a list' }), []);
const cidrs = list(parsed(parseCidr, cidrMust));

const oneOf = (allowed: readonly string[]) =>
  withDefault(
    string.refine((value) => value === '' || allowed.includes(value), {
      error: `must be one of ${allowed.join(', ')}`,
    }),
    '',
  );

const quantity = /^[+-]?(\d+\.?\d*|\.\d+)([EPTGMk]|[EPTGMK]i|[numk]|[eE][+-]?\d+)?$/;
const streamShape = {
  splitStream: bool(false),
  infoBufferSize: withDefault(
    z.coerce
      .string()
      .regex(quantity, { error: 'must be a quantity of bytes, such as "0", "512Ki" or "4Mi"' }),
    '0',
  ),
};

const loggingShape = section({
  format: withDefault(oneOf(['text', 'json']), 'text').transform((format) =>
    format === '' ? 'text' : format,
  ),
  flushFrequency: duration(5 * second, 5 * second),
  verbosity: int(0, maximumInt32, 0),
  vmodule: list(
    section({
      filePattern: string.refine((pattern) => pattern !== '' && !/[=,]/.test(pattern), {
        error: 'must be a file name pattern without "=" and ","',
      }),
      verbosity: int(0, maximumInt32, 0),
    }),
  ),
  options: section({ text: section(streamShape), json: section(streamShape) }),
});

const ipvsShape = section({
  scheduler: text,
  syncPeriod: duration(30 * second, 30 * second),
  minSyncPeriod: duration(0),
  excludeCIDRs: cidrs,
  strictARP: bool(false),
  tcpTimeout: duration(0),
  tcpFinTimeout: duration(0),
  udpTimeout: duration(0),
});

const otherModesShape = {
  iptables: section({
    masqueradeBit: int(0, 31, 14),
    masqueradeAll: bool(false),
    localhostNodePorts: bool(true),
    syncPeriod: duration(30 * second, 30 * second),
    minSyncPeriod: duration(1 * second, 1 * second),
  }),
  nftables: section({
    masqueradeBit: int(0, 31, 14),
    masqueradeAll: bool(false),
    syncPeriod: duration(30 * second, 30 * second),
    minSyncPeriod: duration(1 * second, 1 * second),
  }),
  winkernel: section({
    networkName: text,
    sourceVip: text,
    enableDSR: bool(false),
    rootHnsEndpointName: text,
    forwardHealthCheckVip: bool(false),
  }),
};

const conntrackShape = section({
  maxPerCore: int(0, maximumInt32, 32768),
  min: int(0, maximumInt32, 131072),
  tcpEstablishedTimeout: duration(24 * hour),
  tcpCloseWaitTimeout: duration(1 * hour),
  tcpBeLiberal: bool(false),
  udpTimeout: duration(0),
  udpStreamTimeout: duration(0),
});

const clientConnectionShape = section({
  kubeconfig: text,
  acceptContentTypes: text,
  contentType: text.transform((type) => (type === '' ? 'application/vnd.kubernetes.protobuf' : type)),
  qps: withDefault(
    z.number({ error: 'must be a number' }).transform((qps) => (qps === 0 ? 5 : qps)),
    5,
  ),
  burst: int(0, maximumInt32, 10, 10),
});

const ipMust = 'must be an IP address, such as "0.0.0.0" or "fd00::1", without brackets and without a port';

/** KubeProxyConfiguration v1alpha1, with kube-proxy's defaults for a file. Durations are milliseconds. */
const configurationShape = z.strictObject(
  {
    apiVersion: text,
    kind: text,
    featureGates: withDefault(
      z.record(z.string(), z.boolean({ error: 'must be true or false' }), {
        error: 'must map feature gates to true or false',
      }),
      {},
    ),
    clientConnection: clientConnectionShape,
    logging: loggingShape,
    hostnameOverride: text,
    bindAddress: withDefault(
      string.refine((value) => value === '' || parseIp(value) !== undefined, { error: ipMust }),
      '0.0.0.0',
    ).transform((address) => (address === '' ? '0.0.0.0' : address)),
    healthzBindAddress: text,
    metricsBindAddress: text,
    bindAddressHardFail: bool(false),
    enableProfiling: bool(false),
    showHiddenMetricsForVersion: text,
    mode: text,
    ipvs: ipvsShape,
    ...otherModesShape,
    detectLocalMode: oneOf(detectLocalModes),
    detectLocal: section({ bridgeInterface: text, interfaceNamePrefix: text }),
    clusterCIDR: text,
    nodePortAddresses: list(
      parsed((value) => (value === 'primary' ? value : parseCidr(value)), `${cidrMust}, or "primary" alone`),
    ),
    oomScoreAdj: int(-1000, 1000, -999),
    conntrack: conntrackShape,
    configSyncPeriod: duration(15 * minute, 15 * minute),
    portRange: text,
    windowsRunAsService: bool(false),
  },
  { error: 'must be a mapping of fields' },
);

const vipBindingMust = 'must be address or route';

/** KubeIpvsConfiguration v1alpha1: the settings that kube-proxy does not have. Durations are milliseconds. */
const kubeIpvsConfigurationShape = z.strictObject(
  {
    apiVersion: text,
    kind: text,
    serviceProxyName: text,
    drain: section({
      deadline: duration(15 * minute),
      udpDeadline: duration(5 * second),
      sctpDeadline: duration(minute),
    }),
    metrics: section({
      perService: section({ enabled: bool(true), maximum: int(1, 100_000, 500) }),
    }),
    forwarding: section({ acceptInForeignChains: bool(false) }),
    services: section({ slowStart: duration(0), quarantine: duration(0) }),
    vips: section({ binding: withDefault(z.enum(vipBindingNames, { error: vipBindingMust }), 'address') }),
  },
  { error: 'must be a mapping of fields' },
);

/** A KubeProxyConfiguration with every default filled in. Durations are milliseconds. */
export type KubeProxyConfiguration = z.output<typeof configurationShape>;
/** A KubeIpvsConfiguration with every default filled in. Durations are milliseconds. */
export type KubeIpvsConfiguration = z.output<typeof kubeIpvsConfigurationShape>;

/** The result of reading: the value if there is no problem. Unknown fields are no problem; they are left out. */
export interface ReadResult<T> {
  readonly value: T | undefined;
  readonly problems: readonly ConfigurationProblem[];
  readonly unknownFields: readonly DocumentPath[];
}

const pathOf = (path: readonly PropertyKey[]): DocumentPath =>
  path.map((step) => (typeof step === 'symbol' ? String(step) : step));

// Unknown fields are reported among the problems: the input is read again without them.
const read = <S extends z.ZodType>(schema: S, input: unknown): ReadResult<z.output<S>> => {
  const first = schema.safeParse(input);
  if (first.success) return { value: first.data, problems: [], unknownFields: [] };
  const unknownFields = first.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => pathOf([...issue.path, key])) : [],
  );
  const problems = first.error.issues
    .filter((issue) => issue.code !== 'unrecognized_keys')
    .map((issue) => ({ path: pathOf(issue.path), must: issue.message }));
  if (problems.length > 0) return { value: undefined, problems, unknownFields };
  const { value, problems: left } = read(schema, withoutFields(input, unknownFields));
  return { value, problems: left, unknownFields };
};

/** A copy without these fields; of a list, without the whole list. */
export const withoutFields = (input: unknown, paths: readonly DocumentPath[]): unknown => {
  const copy: unknown = structuredClone(input);
  for (const path of paths) {
    const item = path.findIndex((step) => typeof step === 'number');
    const field = item < 0 ? path : path.slice(0, item);
    const parent = field
      .slice(0, -1)
      .reduce<unknown>((at, step) => (at as Record<string, unknown> | null | undefined)?.[step], copy);
    if (typeof parent === 'object' && parent !== null)
      delete (parent as Record<string, unknown>)[field.at(-1) ?? ''];
  }
  return copy;
};

/**
 * Reads a KubeProxyConfiguration: types, ranges and defaults of single fields. validate-configuration.ts checks fields
 * against each other.
 */
export const readKubeProxyConfiguration = (input: unknown): ReadResult<KubeProxyConfiguration> =>
  read(configurationShape, input);

/** Reads a KubeIpvsConfiguration. */
export const readKubeIpvsConfiguration = (input: unknown): ReadResult<KubeIpvsConfiguration> =>
  read(kubeIpvsConfigurationShape, input);
