import { checksOf } from '../check.js';
import type { Facts } from '../facts.js';
import { fail, judge, onNode, pass, unknown, warn, type Finding } from '../finding.js';

const prefix = 'net.netfilter.nf_conntrack_';

const number = ({ numbers }: Facts, name: string): number | undefined => {
  const value = numbers.get(`${prefix}${name}`);
  return typeof value === 'number' ? value : undefined;
};

const notThere = ({ numbers }: Facts, name: string): Finding =>
  numbers.get(`${prefix}${name}`) === 'unreadable'
    ? unknown(`${prefix}${name} cannot be read`, onNode(`sysctl ${prefix}${name}`))
    : unknown(`there is no ${prefix}${name} here`, 'modprobe nf_conntrack');

const presence = (facts: Facts): Finding => {
  if (facts.numbers.get(`${prefix}max`) === 'absent')
    return fail(
      'connection tracking is not there: no net.netfilter.nf_conntrack_max',
      'modprobe nf_conntrack; to keep it: echo nf_conntrack > /etc/modules-load.d/nf_conntrack.conf',
    );
  return judge(facts.conntrackNetlink, (answers) =>
    answers
      ? pass('nf_conntrack is there, and answers over netlink')
      : fail(
          'nf_conntrack is there, nf_conntrack_netlink is not',
          'modprobe nf_conntrack_netlink; to keep it: echo nf_conntrack_netlink > /etc/modules-load.d/nf_conntrack_netlink.conf',
        ),
  );
};

const limit = (facts: Facts): Finding => {
  const [now, most] = [number(facts, 'count'), number(facts, 'max')];
  if (now === undefined || most === undefined) return notThere(facts, 'max');
  if (most === 0) return pass(`${now} connections are tracked, without a limit`);
  const share = now / most;
  const text = `${now} of ${most} connections are tracked (${Math.round(share * 100)} %)`;
  const remedy = `sysctl -w ${prefix}max=${most * 2}, or conntrack.maxPerCore: ${Math.ceil((most * 2) / facts.cpus)} in the configuration`;
  if (share >= 0.9) return fail(text, remedy);
  return share >= 0.7 ? warn(text, remedy) : pass(text);
};

const hash = (facts: Facts): Finding => {
  const [most, buckets] = [number(facts, 'max'), number(facts, 'buckets')];
  if (most === undefined || buckets === undefined) return notThere(facts, 'buckets');
  const load = most / Math.max(1, buckets);
  const text = `room for ${most} connections in ${buckets} buckets, up to ${load.toFixed(1)} each`;
  return load > 8 ? warn(text, `sysctl -w ${prefix}buckets=${Math.trunc(most / 4)}`) : pass(text);
};

const tcpTimeouts = (facts: Facts): Finding =>
  judge(facts.ipvsTimeouts, ({ tcpSeconds }) => {
    const tracked = number(facts, 'tcp_timeout_established');
    if (tracked === undefined) return notThere(facts, 'tcp_timeout_established');
    const text = `established TCP connections: conntrack ${tracked} s, IPVS ${tcpSeconds} s`;
    return tracked < tcpSeconds
      ? warn(
          text,
          `sysctl -w ${prefix}tcp_timeout_established=${tcpSeconds}, or conntrack.tcpEstablishedTimeout: ${tcpSeconds}s`,
        )
      : pass(text);
  });

const udpTimeouts = (facts: Facts): Finding =>
  judge(facts.ipvsTimeouts, ({ udpSeconds }) => {
    const tracked = number(facts, 'udp_timeout_stream');
    if (tracked === undefined) return notThere(facts, 'udp_timeout_stream');
    const text = `UDP: conntrack ${tracked} s for streams, IPVS ${udpSeconds} s`;
    // Where conntrack forgets first, the next packet of the same client is tracked anew and masqueraded from another port.
    return tracked < udpSeconds - 180
      ? warn(text, `ipvs.udpTimeout: ${tracked}s, or conntrack.udpStreamTimeout: ${udpSeconds}s`)
      : pass(text);
  });

const liberal = (facts: Facts): Finding => {
  const value = number(facts, 'tcp_be_liberal');
  if (value === undefined) return notThere(facts, 'tcp_be_liberal');
  const wanted = facts.configuration.settings.conntrack.tcpBeLiberal;
  if (wanted && value === 0)
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

export const conntrackChecks = checksOf('conntrack', [
  {
    id: 'conntrack',
    title: 'connection tracking and its netlink interface',
    why: 'Masquerading needs it, and stale flows of pods that are gone are deleted through it.',
    look: presence,
  },
  {
    id: 'conntrack-limit',
    title: 'nf_conntrack_count against nf_conntrack_max',
    why: 'At the limit the kernel drops the first packet of every new connection.',
    look: limit,
  },
  {
    id: 'conntrack-hash',
    title: 'nf_conntrack_max against the size of its hash table',
    why: 'Many connections in few buckets make every packet slower.',
    look: hash,
  },
  {
    id: 'conntrack-tcp-timeout',
    title: "conntrack's TCP timeout against that of IPVS",
    why: 'A connection that conntrack forgets first loses its masquerading while IPVS still forwards it.',
    look: tcpTimeouts,
  },
  {
    id: 'conntrack-udp-timeout',
    title: "conntrack's UDP timeout against that of IPVS",
    why: 'A UDP flow that IPVS remembers much longer than conntrack sticks to one pod under new ports.',
    look: udpTimeouts,
  },
  {
    id: 'conntrack-liberal',
    title: 'nf_conntrack_tcp_be_liberal as configured',
    why: 'Under heavy reordering strict tracking takes good segments for invalid ones, and they are not masqueraded.',
    look: liberal,
  },
]);
