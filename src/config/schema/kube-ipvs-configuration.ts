import * as z from 'zod';
import { parseCpuList } from './cpu-list.js';
import { families } from '../../base/ip.js';
import { inClusterEndpointNames } from '../../model/settings/in-cluster-endpoints.js';
import { isServicePattern } from '../../model/settings/service-patterns.js';
import {
  fullActions,
  maximumThreshold,
  persistenceNetmaskSyntax,
  serviceFlags,
} from '../../model/settings/service-settings.js';
import { vipBindingNames } from '../../model/settings/vip-binding.js';
import { weightByNames } from '../../model/settings/weight-by.js';
import {
  second,
  minute,
  maximumInt32,
  withDefault,
  section,
  string,
  text,
  bool,
  int,
  parsed,
  duration,
  oneOf,
} from './fields.js';
import { readConfiguration, type ReadResult } from './read-configuration.js';

const servicePatternMust =
  'must be a namespace and a name of Services, in which * stands for any characters, such as "shop/*"';
const flagMust = `must be one of ${serviceFlags.join(', ')}`;

/** The settings of Services without the annotation. An empty string, null or zero chooses nothing. */
const servicesShape = section({
  scheduler: text,
  flags: z.preprocess(
    (value) => value ?? null,
    z.array(z.enum(serviceFlags, { error: flagMust }), { error: 'must be a list' }).nullable(),
  ),
  persistenceTimeout: duration(0),
  persistenceNetmask: text.refine(
    (value) => value === '' || persistenceNetmaskSyntax.parse(value) !== undefined,
    { error: `must be ${persistenceNetmaskSyntax.expected}` },
  ),
  upperThreshold: int(0, maximumThreshold, 0),
  lowerThreshold: int(0, maximumThreshold, 0),
  onFull: oneOf(fullActions),
  slowStart: duration(0),
  quarantine: duration(0),
});

const inClusterEndpointsMust = 'must be local or all';
const pageMust = 'must be true, false or loopback';
const vipBindingMust = 'must be address or route';
const weightByMust = `must be one of ${weightByNames.join(', ')}`;

/** null: the kernel's value is not changed. */
const kernelInt = (minimum: number, maximum: number) => {
  const error = `must be a whole number from ${minimum} to ${maximum}`;
  return withDefault(z.int({ error }).min(minimum, { error }).max(maximum, { error }).nullable(), null);
};

const kernelShape = section({
  estimatorCpuList: withDefault(
    parsed((value) => (value === '' ? '' : parseCpuList(value)), 'must be a list of CPUs, such as "0-3,8"'),
    '',
  ),
  estimatorNice: kernelInt(-20, 19),
  connectionLoadFactor: kernelInt(-8, 8),
  serviceLoadFactor: kernelInt(-8, 8),
});

const connectionSyncShape = section({
  interface: text,
  group: int(1, 255, 1),
  port: int(1, 65_535, 8848),
  ipFamily: withDefault(z.enum(families, { error: 'must be IPv4 or IPv6' }), 'IPv4'),
  ttl: int(1, 255, 1),
  affinityOnly: bool(false),
  refreshPeriod: duration(10 * second),
  retries: int(0, 3, 0),
  packetThreshold: int(0, maximumInt32, 3),
  packetInterval: int(0, maximumInt32, 0),
  threads: int(1, 64, 1),
  queueLength: int(0, maximumInt32, 0),
  socketBufferSize: int(0, maximumInt32, 0),
});

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
      backends: section({
        enabled: bool(false),
        maximumSeries: int(9, 1_000_000, 9_000),
        services: withDefault(
          z.array(string.refine(isServicePattern, { error: servicePatternMust }), {
            error: 'must be a list',
          }),
          ['*/*'],
        ),
      }),
    }),
    externalTrafficPolicyLocal: section({
      inClusterEndpoints: withDefault(
        z.enum(inClusterEndpointNames, { error: inClusterEndpointsMust }),
        'local',
      ),
    }),
    forwarding: section({ acceptInForeignChains: bool(false) }),
    nodePorts: section({ sharing: bool(false) }),
    page: section({
      enabled: withDefault(z.union([z.boolean(), z.literal('loopback')], { error: pageMust }), 'loopback'),
    }),
    services: servicesShape,
    vips: section({ binding: withDefault(z.enum(vipBindingNames, { error: vipBindingMust }), 'address') }),
    weights: section({ by: withDefault(z.enum(weightByNames, { error: weightByMust }), 'none') }),
    connectionSync: connectionSyncShape,
    kernel: kernelShape,
  },
  { error: 'must be a mapping of fields' },
);

/** A KubeIpvsConfiguration with every default filled in. Durations are milliseconds. */
export type KubeIpvsConfiguration = z.output<typeof kubeIpvsConfigurationShape>;

/** Reads a KubeIpvsConfiguration. */
export const readKubeIpvsConfiguration = (input: unknown): ReadResult<KubeIpvsConfiguration> =>
  readConfiguration(kubeIpvsConfigurationShape, input);
