import { checksInGroup } from '../check.js';
import type { Facts } from '../facts.js';
import { fail, checkFact, onNode, pass, unknown, warn, type CheckResult } from '../check-result.js';

const prefix = 'net.netfilter.nf_conntrack_';

const conntrackSetting = ({ kernelSettings: numbers }: Facts, name: string): number | undefined => {
  const value = numbers.get(`${prefix}${name}`);
  return typeof value === 'number' ? value : undefined;
};

const unavailableSetting = ({ kernelSettings: numbers }: Facts, name: string): CheckResult =>
  numbers.get(`${prefix}${name}`) === 'unreadable'
    ? unknown(`${prefix}${name} cannot be read`, onNode(`sysctl ${prefix}${name}`))
    : unknown(`there is no ${prefix}${name} here`, 'modprobe nf_conntrack');

const presence = (facts: Facts): CheckResult => {
  if (facts.kernelSettings.get(`${prefix}max`) === 'absent')
    return fail(
      'connection tracking is not there: no net.netfilter.nf_conntrack_max',
      'modprobe nf_conntrack; to keep it: echo nf_conntrack > /etc/modules-load.d/nf_conntrack.conf',
    );
  return checkFact(facts.conntrackNetlink, (responds) =>
    responds
      ? pass('nf_conntrack is there, and answers over netlink')
      : fail(
          'nf_conntrack is there, nf_conntrack_netlink is not',
          'modprobe nf_conntrack_netlink; to keep it: echo nf_conntrack_netlink > /etc/modules-load.d/nf_conntrack_netlink.conf',
        ),
  );
};

const limit = (facts: Facts): CheckResult => {
  const [now, maximum] = [conntrackSetting(facts, 'count'), conntrackSetting(facts, 'max')];
  if (now === undefined || maximum === undefined) return unavailableSetting(facts, 'max');
  if (maximum === 0) return pass(`${now} connections are tracked, without a limit`);
  const share = now / maximum;
  const text = `${now} of ${maximum} connections are tracked (${Math.round(share * 100)} %)`;
  const remedy = `sysctl -w ${prefix}max=${maximum * 2}, or conntrack.maxPerCore: ${Math.ceil((maximum * 2) / facts.cpus)} in the configuration`;
  if (share >= 0.9) return fail(text, remedy);
  return share >= 0.7 ? warn(text, remedy) : pass(text);
};

const hash = (facts: Facts): CheckResult => {
  const [maximum, buckets] = [conntrackSetting(facts, 'max'), conntrackSetting(facts, 'buckets')];
  if (maximum === undefined || buckets === undefined) return unavailableSetting(facts, 'buckets');
  const load = maximum / Math.max(1, buckets);
  const text = `room for ${maximum} connections in ${buckets} buckets, up to ${load.toFixed(1)} each`;
  return load > 8 ? warn(text, `sysctl -w ${prefix}buckets=${Math.trunc(maximum / 4)}`) : pass(text);
};

const tcpTimeouts = (facts: Facts): CheckResult =>
  checkFact(facts.ipvsTimeouts, ({ tcpSeconds }) => {
    const tracked = conntrackSetting(facts, 'tcp_timeout_established');
    if (tracked === undefined) return unavailableSetting(facts, 'tcp_timeout_established');
    const text = `established TCP connections: conntrack ${tracked} s, IPVS ${tcpSeconds} s`;
    return tracked < tcpSeconds
      ? warn(
          text,
          `sysctl -w ${prefix}tcp_timeout_established=${tcpSeconds}, or conntrack.tcpEstablishedTimeout: ${tcpSeconds}s`,
        )
      : pass(text);
  });

const udpTimeouts = (facts: Facts): CheckResult =>
  checkFact(facts.ipvsTimeouts, ({ udpSeconds }) => {
    const tracked = conntrackSetting(facts, 'udp_timeout_stream');
    if (tracked === undefined) return unavailableSetting(facts, 'udp_timeout_stream');
    const text = `UDP: conntrack ${tracked} s for streams, IPVS ${udpSeconds} s`;
    // Where conntrack forgets first, the next packet of the same client is tracked anew and masqueraded from another port.
    return tracked < udpSeconds - 180
      ? warn(text, `ipvs.udpTimeout: ${tracked}s, or conntrack.udpStreamTimeout: ${udpSeconds}s`)
      : pass(text);
  });

const liberal = (facts: Facts): CheckResult => {
  const value = conntrackSetting(facts, 'tcp_be_liberal');
  if (value === undefined) return unavailableSetting(facts, 'tcp_be_liberal');
  const configured = facts.configuration.settings.conntrack.tcpBeLiberal;
  if (configured && value === 0)
    return warn(
      `${prefix}tcp_be_liberal is 0, and conntrack.tcpBeLiberal is true`,
      `sysctl -w ${prefix}tcp_be_liberal=1`,
    );
  return pass(
    value === 0
      ? `${prefix}tcp_be_liberal is 0: segments outside of the window count as invalid`
      : `${prefix}tcp_be_liberal is ${value}`,
  );
};

export const conntrackChecks = checksInGroup('conntrack', [
  {
    id: 'conntrack',
    title: 'connection tracking and its netlink interface',
    why: 'Masquerading needs it, and stale flows of pods that are gone are deleted through it.',
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
    title: 'nf_conntrack_max against the size of its hash table',
    why: 'Many connections in few buckets make every packet slower.',
    run: hash,
  },
  {
    id: 'conntrack-tcp-timeout',
    title: "conntrack's TCP timeout against that of IPVS",
    why: 'A connection that conntrack forgets first loses its masquerading while IPVS still forwards it.',
    run: tcpTimeouts,
  },
  {
    id: 'conntrack-udp-timeout',
    title: "conntrack's UDP timeout against that of IPVS",
    why: 'A UDP flow that IPVS remembers much longer than conntrack sticks to one pod under new ports.',
    run: udpTimeouts,
  },
  {
    id: 'conntrack-liberal',
    title: 'nf_conntrack_tcp_be_liberal as configured',
    why: 'Under heavy reordering strict tracking takes good segments for invalid ones, and they are not masqueraded.',
    run: liberal,
  },
]);
