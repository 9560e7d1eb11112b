import { annotationField } from '../../model/settings/service-annotations.js';
import type { Protocol } from '../../base/protocol.js';
import {
  flagsSyntax,
  onFullSyntax,
  type FullAction,
  type ServiceFlag,
  type ServiceSettings,
} from '../../model/settings/service-settings.js';
import type { VirtualServerFlag } from '../../model/virtual-server.js';
import { fallbackFlag } from '../fallback-flag.js';
import type { AnnotationReader } from './annotation-reader.js';

/** The flags of the virtual servers of a protocol. */
export type FlagsByProtocol = (protocol: Protocol) => readonly VirtualServerFlag[];

const noFlags: readonly VirtualServerFlag[] = [];
const portHashFlags: readonly VirtualServerFlag[] = ['mh-port'];

/** Like kube-proxy, hashes the port only with mh, not with sh. */
const kubeProxyFlags = (scheduler: string): readonly ServiceFlag[] => (scheduler === 'mh' ? ['mh-port'] : []);

const fitsScheduler = (flag: ServiceFlag, scheduler: string): boolean =>
  flag === 'one-packet' || flag.startsWith(`${scheduler}-`);

/** The kernel's flags, sorted; the frequent lists are shared. */
const kernelFlags = (flags: readonly ServiceFlag[]): readonly VirtualServerFlag[] => {
  if (flags.length === 0) return noFlags;
  if (flags.length === 1 && flags[0] === 'mh-port') return portHashFlags;
  return flags.map((flag): VirtualServerFlag => (flag === 'one-packet' ? 'ops' : flag)).toSorted();
};

/** Why the scheduler cannot do this with a connection whose real server is full; undefined if it can. */
const obstacle = (action: FullAction, scheduler: string): string | undefined => {
  if (scheduler === 'lblc') return 'lblc does not obey thresholds';
  if (scheduler === 'dh') return action === 'another' ? 'dh always refuses the connection' : undefined;
  if (action === 'another' || fallbackFlag(scheduler) !== undefined) return undefined;
  return `${scheduler} always selects another real server`;
};

const flagsAnnotation = { ...flagsSyntax, reason: 'InvalidFlags', otherwise: 'the default flags are used' };
const onFullAnnotation = { ...onFullSyntax, reason: 'InvalidOnFull', otherwise: 'the default is used' };

/** The flags of the annotation; those without effect are reported. */
const readFlags = (
  reader: AnnotationReader,
  scheduler: string,
  isUdp: boolean,
): readonly ServiceFlag[] | undefined => {
  const flags = reader.read('flags', flagsAnnotation);
  const leftOut = flags?.filter((flag) => !fitsScheduler(flag, scheduler)) ?? [];
  if (leftOut.length > 0)
    reader.report(
      'IneffectiveFlags',
      annotationField('flags'),
      `${leftOut.join(', ')}: no meaning for the scheduler ${scheduler}; left out`,
    );
  if (flags?.includes('one-packet') === true && !isUdp)
    reader.report(
      'IneffectiveFlags',
      annotationField('flags'),
      'one-packet: the Service has no UDP port; left out',
    );
  return flags;
};

const readOnFull = (
  reader: AnnotationReader,
  scheduler: string,
  flags: readonly ServiceFlag[] | undefined,
): FullAction | undefined => {
  const action = reader.read('on-full', onFullAnnotation);
  if (action === undefined) return undefined;
  const fallback = fallbackFlag(scheduler);
  const contradicts = action === 'refuse' && fallback !== undefined && flags?.includes(fallback) === true;
  const problem = contradicts ? `the annotation flags has ${fallback}` : obstacle(action, scheduler);
  if (problem === undefined) return action;
  reader.report('IneffectiveOnFull', annotationField('on-full'), `${action}: ${problem}; left out`);
  return undefined;
};

const withFallback = (
  flags: readonly ServiceFlag[],
  fallback: ServiceFlag | undefined,
  action: FullAction | undefined,
): readonly ServiceFlag[] => {
  if (fallback === undefined || action === undefined) return flags;
  const others = flags.filter((flag) => flag !== fallback);
  return action === 'another' ? [...others, fallback] : others;
};

/** The flags of a Service: by its annotations, else by default, else as in kube-proxy. */
export const effectiveFlags = (
  reader: AnnotationReader,
  scheduler: string,
  isUdp: boolean,
  defaults: ServiceSettings,
): FlagsByProtocol => {
  const given = readFlags(reader, scheduler, isUdp);
  const action = readOnFull(reader, scheduler, given) ?? (given === undefined ? defaults.onFull : undefined);
  const chosen = given ?? defaults.flags ?? kubeProxyFlags(scheduler);
  const fitting = chosen.filter((flag) => fitsScheduler(flag, scheduler));
  const flags = withFallback(fitting, fallbackFlag(scheduler), action);
  const udp = kernelFlags(flags);
  const others = kernelFlags(flags.filter((flag) => flag !== 'one-packet'));
  return (protocol) => (protocol === 'UDP' ? udp : others);
};

/** With the flags that the weights of the real servers need. */
export const withNeededFlags = (
  flags: readonly VirtualServerFlag[],
  needed: readonly VirtualServerFlag[],
): readonly VirtualServerFlag[] =>
  needed.length === 0 ? flags : [...new Set([...flags, ...needed])].toSorted();
