import * as z from 'zod';
import { parseCidr, parseIp } from '../../base/ip.js';
import {
  second,
  minute,
  hour,
  maximumInt32,
  withDefault,
  section,
  string,
  text,
  bool,
  int,
  parsed,
  duration,
  cidrMust,
  list,
  cidrs,
  oneOf,
} from './fields.js';
import { detectLocalModes } from '../known-values.js';
import { readConfiguration, type ReadResult } from './read-configuration.js';

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

/** A KubeProxyConfiguration with every default filled in. Durations are milliseconds. */
export type KubeProxyConfiguration = z.output<typeof configurationShape>;

/**
 * Reads a KubeProxyConfiguration: types, ranges and defaults of single fields. validate-configuration.ts checks fields
 * against each other.
 */
export const readKubeProxyConfiguration = (input: unknown): ReadResult<KubeProxyConfiguration> =>
  readConfiguration(configurationShape, input);
