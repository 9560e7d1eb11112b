import { checksInGroup } from '../check.js';
import type { Facts } from '../facts.js';
import { fail, checkFact, pass, unknown, warn, type CheckResult } from '../check-result.js';
import { advise, loadModule, runOnNode, setKernelParameter, type Remedy } from '../remedy.js';

const prefix = 'net.netfilter.nf_conntrack_';

const conntrackSetting = ({ kernelSettings }: Facts, name: string): number | undefined => {
  const value = kernelSettings.get(`${prefix}${name}`);
  return typeof value === 'number' ? value : undefined;
};

const unavailableSetting = ({ kernelSettings }: Facts, name: string): CheckResult =>
  kernelSettings.get(`${prefix}${name}`) === 'unreadable'
    ? unknown(`${prefix}${name} cannot be read`, runOnNode(`sysctl ${prefix}${name}`))
    : unknown(`${prefix}${name} does not exist`, loadModule('nf_conntrack'));

/** At once; at every boot. */
const loadModuleForGood = (module: string): readonly Remedy[] => [
  loadModule(module),
  advise('Load it at every boot.', `echo ${module} > /etc/modules-load.d/${module}.conf`),
];

const presence = (facts: Facts): CheckResult => {
  if (facts.kernelSettings.get(`${prefix}max`) === 'absent')
    return fail(
      'connection tracking is not loaded: net.netfilter.nf_conntrack_max does not exist',
      ...loadModuleForGood('nf_conntrack'),
    );
  return checkFact(facts.conntrackNetlink, (responds) =>
    responds
      ? pass('nf_conntrack is loaded and answers over netlink')
      : fail(
          'nf_conntrack is loaded, but nf_conntrack_netlink is not',
          ...loadModuleForGood('nf_conntrack_netlink'),
        ),
  );
};

const limit = (facts: Facts): CheckResult => {
  const [now, maximum] = [conntrackSetting(facts, 'count'), conntrackSetting(facts, 'max')];
  if (now === undefined || maximum === undefined) return unavailableSetting(facts, 'max');
  if (maximum === 0) return pass(`${now} connections are tracked; there is no limit`);
  const share = now / maximum;
  const text = `${now} of ${maximum} connections are tracked (${Math.round(share * 100)} %)`;
  const remedies = [
    setKernelParameter(`${prefix}max`, maximum * 2),
    advise(
      `Set conntrack.maxPerCore: ${Math.ceil((maximum * 2) / facts.cpus)} in the configuration to keep the limit.`,
    ),
  ];
  if (share >= 0.9) return fail(text, ...remedies);
  return share >= 0.7 ? warn(text, ...remedies) : pass(text);
};

const hash = (facts: Facts): CheckResult => {
  const [maximum, buckets] = [conntrackSetting(facts, 'max'), conntrackSetting(facts, 'buckets')];
  if (maximum === undefined || buckets === undefined) return unavailableSetting(facts, 'buckets');
  const load = maximum / Math.max(1, buckets);
  const text = `up to ${maximum} connections in ${buckets} buckets: ${load.toFixed(1)} in each`;
  return load > 8 ? warn(text, setKernelParameter(`${prefix}buckets`, Math.trunc(maximum / 4))) : pass(text);
};

const tcpTimeouts = (facts: Facts): CheckResult =>
  checkFact(facts.ipvsTimeouts, ({ tcpSeconds }) => {
    const tracked = conntrackSetting(facts, 'tcp_timeout_established');
    if (tracked === undefined) return unavailableSetting(facts, 'tcp_timeout_established');
    const text = `timeout of established TCP connections: ${tracked} s in conntrack, ${tcpSeconds} s in IPVS`;
    return tracked < tcpSeconds
      ? warn(
          text,
          setKernelParameter(`${prefix}tcp_timeout_established`, tcpSeconds),
          advise(`Set conntrack.tcpEstablishedTimeout: ${tcpSeconds}s in the configuration.`),
        )
      : pass(text);
  });

const udpTimeouts = (facts: Facts): CheckResult =>
  checkFact(facts.ipvsTimeouts, ({ udpSeconds }) => {
    const tracked = conntrackSetting(facts, 'udp_timeout_stream');
    if (tracked === undefined) return unavailableSetting(facts, 'udp_timeout_stream');
    const text = `timeout of UDP streams: ${tracked} s in conntrack, ${udpSeconds} s in IPVS`;
    // If conntrack expires first, the next packet of the client is tracked as new and masqueraded from another port.
    return tracked < udpSeconds - 180
      ? warn(
          text,
          advise(
            `Set ipvs.udpTimeout: ${tracked}s or conntrack.udpStreamTimeout: ${udpSeconds}s in the configuration.`,
          ),
        )
      : pass(text);
  });

const liberal = (facts: Facts): CheckResult => {
  const value = conntrackSetting(facts, 'tcp_be_liberal');
  if (value === undefined) return unavailableSetting(facts, 'tcp_be_liberal');
  const configured = facts.configuration.settings.conntrack.tcpBeLiberal;
  if (configured && value === 0)
    return warn(
      `${prefix}tcp_be_liberal is 0, but conntrack.tcpBeLiberal is true`,
      setKernelParameter(`${prefix}tcp_be_liberal`, 1),
    );
  return pass(
    value === 0
      ? `${prefix}tcp_be_liberal is 0: TCP segments outside the window are invalid`
      : `${prefix}tcp_be_liberal is ${value}`,
  );
};

export const conntrackChecks = checksInGroup('conntrack', [
  {
    id: 'conntrack',
    title: 'connection tracking and its netlink interface',
    why: 'Masquerading needs it, and kube-ipvs deletes the stale flows of removed pods through it.',
    run: presence,
  },
  {
    id: 'conntrack-limit',
    title: 'nf_conntrack_count against nf_conntrack_max',
    why: 'At the limit the kernel drops the first packet of every new connection.',
    run: limit,
  },
  {
    id: 'conntrack-hash',
    title: 'nf_conntrack_max against the size of the hash table',
    why: 'Many connections in few buckets slow down every packet.',
    run: hash,
  },
  {
    id: 'conntrack-tcp-timeout',
    title: 'the TCP timeout of conntrack against that of IPVS',
    why: 'A connection that expires in conntrack first is no longer masqueraded while IPVS still forwards it.',
    run: tcpTimeouts,
  },
  {
    id: 'conntrack-udp-timeout',
    title: 'the UDP timeout of conntrack against that of IPVS',
    why: 'A UDP flow that lives much longer in IPVS than in conntrack stays on one pod with changing source ports.',
    run: udpTimeouts,
  },
  {
    id: 'conntrack-liberal',
    title: 'nf_conntrack_tcp_be_liberal as configured',
    why: 'Under heavy reordering, strict tracking treats good segments as invalid, and they are not masqueraded.',
    run: liberal,
  },
]);
