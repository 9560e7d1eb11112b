import { execFileSync } from 'node:child_process';

/** Runs a program of the guest and gives its standard output; a failure is an error with its standard error. */
export const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Runs a line of a program with its arguments, which contain no white space. */
export const runLine = (line: string): string => {
  const [command = '', ...args] = line.split(/\s+/);
  return run(command, ...args);
};

const inNamespace = (namespace: string | undefined, line: string): string =>
  runLine(namespace === undefined ? line : `ip netns exec ${namespace} ${line}`);

const lines = (text: string): readonly string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .toSorted();

/** The IPVS table as ipvsadm saves it, sorted. */
export const savedTable = (namespace?: string): readonly string[] =>
  lines(inNamespace(namespace, 'ipvsadm -Sn'));

/** The addresses on a link, as `10.0.0.1/32`, sorted; none where the link does not exist. */
export const addressesOf = (link: string, namespace?: string): readonly string[] => {
  const links: readonly { ifname?: string; addr_info?: readonly { local: string; prefixlen: number }[] }[] =
    JSON.parse(inNamespace(namespace, 'ip -j address show'));
  return (links.find(({ ifname }) => ifname === link)?.addr_info ?? [])
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
    .toSorted();
};

/** The VIPs that have a local route of kube-ipvs, as `10.0.0.1/32`, sorted. */
export const vipRoutesOf = (namespace?: string): readonly string[] =>
  [
    ['', 32],
    ['-6 ', 128],
  ]
    .flatMap(([family, length]) =>
      lines(inNamespace(namespace, `ip ${family}route show table local proto 73`)).map(
        (line) => `${line.split(' ')[1]}/${length}`,
      ),
    )
    .toSorted();

/** The schedulers that IPVS has, but for one that Debian's packaged kernel lacks. */
export const schedulers: readonly string[] = 'rr wrr lc wlc fo ovf lblc lblcr dh sh mh sed nq twos'
  .split(' ')
  .filter((scheduler) => scheduler !== 'twos' || process.env['KUBE_IPVS_LAB'] !== 'packaged');
