import { formatCount } from '../../base/text.js';
import { isAtLeast, parseRelease, type KernelVersion } from '../../kernel/kernel-version.js';
import { checksInGroup } from '../check.js';
import type { Facts } from '../facts.js';
import { fail, checkFact, pass, unknown, valueOf, warn, type CheckResult } from '../check-result.js';

/** What the version decides of how IPVS behaves. */
const effects = (version: KernelVersion): readonly string[] => [
  isAtLeast(version, 5, 9)
    ? 'reused ports connect at once (5.9)'
    : 'a reused port may wait a second unless conn_reuse_mode is 0 (before 5.9)',
  isAtLeast(version, 6, 2)
    ? 'rates are estimated in threads (6.2)'
    : 'rates are estimated in a softirq (before 6.2)',
];

const kernelVersion = ({ release }: Facts): CheckResult => {
  const version = parseRelease(release);
  if (version === undefined)
    return warn(
      `"${release}" is no kernel release as 6.1.0 is`,
      'if this is a Linux before 5.9: sysctl -w net.ipv4.vs.conn_reuse_mode=0',
    );
  const text = `Linux ${release}: ${effects(version).join('; ')}`;
  if (!isAtLeast(version, 4, 18))
    return fail(text, 'boot Linux 4.18 or later: the packet rules of kube-ipvs need it');
  return isAtLeast(version, 5, 9) ? pass(text) : warn(text, 'boot Linux 5.9 or later, better 6.2');
};

const networkNamespace = ({ initialNetwork }: Facts): CheckResult =>
  initialNetwork
    ? pass("this is the host's network namespace")
    : warn(
        "this is not the host's network namespace: settings that only it has, as net.core.netdev_budget, are not here",
        'in a pod: spec.hostNetwork: true; on the node: nsenter -t 1 -n kube-ipvs doctor',
      );

const dummyDriver = ({ dummyDriver: driver }: Facts): CheckResult =>
  checkFact(driver, (state) =>
    state === 'absent'
      ? fail(
          'the modules of this kernel hold no dummy driver',
          'install the package with all modules of $(uname -r), or boot a kernel with CONFIG_DUMMY',
        )
      : pass(`the dummy driver is ${state}`),
  );

/** Virtual and real servers from which the timer before Linux 6.2 is felt as latency: tens of milliseconds every two seconds. */
const highEstimatorCount = 10_000;

const estimators = ({ release, kernelSettings: numbers, ipvs }: Facts): CheckResult => {
  const table = valueOf(ipvs);
  const version = parseRelease(release);
  const runEstimation = numbers.get('net.ipv4.vs.run_estimation');
  if (runEstimation === 0)
    return warn(
      'net.ipv4.vs.run_estimation is 0: nothing is estimated, and `kube-ipvs dump --rate` shows zeros',
      'to have rates: sysctl -w net.ipv4.vs.run_estimation=1',
    );
  if (table === undefined || table === 'absent' || version === undefined)
    return checkFact(ipvs, () => unknown('there is no IPVS table to count', 'see the check ipvs'));
  const servers = table.virtualServers + table.realServers;
  const text = `${servers} estimators (${formatCount(table.virtualServers, 'virtual server')} and ${formatCount(table.realServers, 'real server')})`;
  if (isAtLeast(version, 6, 2)) return pass(`${text}, in threads of the kernel`);
  return servers > highEstimatorCount
    ? warn(
        `${text}, in one softirq every 2 s, as Linux before 6.2 does`,
        'boot Linux 6.2 or later' +
          (runEstimation === 'absent' || runEstimation === undefined
            ? ''
            : ', or do without rates: sysctl -w net.ipv4.vs.run_estimation=0'),
      )
    : pass(`${text}, in a softirq every 2 s`);
};

export const kernelChecks = checksInGroup('kernel', [
  {
    id: 'kernel-version',
    title: 'the version of Linux and what it means',
    why: 'IPVS before Linux 5.9 delays reused ports by a second, and the packet rules need Linux 4.18.',
    run: kernelVersion,
  },
  {
    id: 'network-namespace',
    title: "whether this is the host's network namespace",
    why: 'Virtual servers in the network namespace of a pod serve nobody but that pod.',
    run: networkNamespace,
  },
  {
    id: 'dummy-driver',
    title: 'the driver of the interface kube-ipvs0',
    why: 'The addresses of Services stand on a dummy interface; without one nothing is delivered to IPVS.',
    run: dummyDriver,
  },
  {
    id: 'estimators',
    title: 'the cost of estimating rates',
    why: 'Before Linux 6.2 one timer walks all servers in a softirq, and packets wait for it.',
    run: estimators,
  },
]);
