import { formatCount } from '../../base/text.js';
import { isAtLeast, parseRelease, type KernelVersion } from '../../kernel/kernel-version.js';
import { checksInGroup } from '../check.js';
import type { Facts } from '../facts.js';
import { fail, checkFact, pass, unknown, valueOf, warn, type CheckResult } from '../check-result.js';
import { advise, seeChecks, setKernelParameter } from '../remedy.js';

/** How IPVS behaves in this version. */
const effects = (version: KernelVersion): readonly string[] => [
  isAtLeast(version, 5, 9)
    ? 'connections from reused ports are not delayed (5.9)'
    : 'connections from reused ports may be delayed by a second unless conn_reuse_mode is 0 (before 5.9)',
  isAtLeast(version, 6, 2) ? 'kernel threads estimate rates (6.2)' : 'a softirq estimates rates (before 6.2)',
];

const kernelVersion = ({ release }: Facts): CheckResult => {
  const version = parseRelease(release);
  if (version === undefined)
    return warn(
      `"${release}" is not a kernel release such as 6.1.0`,
      advise(
        'If this is Linux before 5.9, turn conn_reuse_mode off.',
        'sysctl -w net.ipv4.vs.conn_reuse_mode=0',
      ),
    );
  const text = `Linux ${release}: ${effects(version).join('; ')}`;
  if (!isAtLeast(version, 4, 18))
    return fail(text, advise('Boot Linux 4.18 or later, which the packet rules of kube-ipvs need.'));
  return isAtLeast(version, 5, 9)
    ? pass(text)
    : warn(text, advise('Boot Linux 5.9 or later, preferably 6.2 or later.'));
};

const networkNamespace = ({ initialNetwork }: Facts): CheckResult =>
  initialNetwork
    ? pass("this is the host's network namespace")
    : warn(
        "this is not the host's network namespace: settings that only the host has, such as net.core.netdev_budget, are missing",
        advise('In a pod, set spec.hostNetwork: true.'),
        advise("On the node, enter the host's network namespace.", 'nsenter -t 1 -n kube-ipvs doctor'),
      );

const dummyDriver = ({ dummyDriver: driver }: Facts): CheckResult =>
  checkFact(driver, (state) =>
    state === 'absent'
      ? fail(
          'this kernel has no dummy driver, neither built in nor as a module',
          advise('Install the package with all modules of this kernel (uname -r).'),
          advise('Or boot a kernel with CONFIG_DUMMY.'),
        )
      : pass(`the dummy driver is ${state}`),
  );

/** With more servers, the timer of Linux before 6.2 delays packets by tens of milliseconds every two seconds. */
const highEstimatorCount = 10_000;

const estimators = ({ release, kernelSettings, ipvs }: Facts): CheckResult => {
  const table = valueOf(ipvs);
  const version = parseRelease(release);
  const runEstimation = kernelSettings.get('net.ipv4.vs.run_estimation');
  if (runEstimation === 0)
    return warn(
      'net.ipv4.vs.run_estimation is 0: the kernel estimates no rates, and `kube-ipvs dump --rate` prints zeros',
      setKernelParameter('net.ipv4.vs.run_estimation', 1),
    );
  if (table === undefined || table === 'absent' || version === undefined)
    return checkFact(ipvs, () => unknown('this kernel has no IPVS', seeChecks('ipvs')));
  const servers = table.virtualServers + table.realServers;
  const text = `${servers} estimators (${formatCount(table.virtualServers, 'virtual server')} and ${formatCount(table.realServers, 'real server')})`;
  if (isAtLeast(version, 6, 2)) return pass(`${text}, run by kernel threads`);
  return servers > highEstimatorCount
    ? warn(
        `${text}, run by one softirq every 2 s (Linux before 6.2)`,
        advise('Boot Linux 6.2 or later.'),
        ...(runEstimation === 'absent' || runEstimation === undefined
          ? []
          : [advise('Or turn rates off.', 'sysctl -w net.ipv4.vs.run_estimation=0')]),
      )
    : pass(`${text}, run by a softirq every 2 s`);
};

export const kernelChecks = checksInGroup('kernel', [
  {
    id: 'kernel-version',
    title: 'the version of Linux and its effect on IPVS',
    why: 'Before Linux 5.9, IPVS delays connections from reused ports; the packet rules need Linux 4.18.',
    run: kernelVersion,
  },
  {
    id: 'network-namespace',
    title: "whether this is the host's network namespace",
    why: 'Virtual servers in the network namespace of a pod serve that pod only.',
    run: networkNamespace,
  },
  {
    id: 'dummy-driver',
    title: 'the driver of the interface kube-ipvs0',
    why: 'The addresses of Services are on a dummy interface; without it the kernel delivers no packets to IPVS.',
    run: dummyDriver,
  },
  {
    id: 'estimators',
    title: 'the cost of estimating rates',
    why: 'Before Linux 6.2, one timer goes through all servers in a softirq, and packets wait for it.',
    run: estimators,
  },
]);
