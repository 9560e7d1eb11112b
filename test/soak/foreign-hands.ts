import { run, runLine } from '../support/lab-guest.js';

/** What others have on the node, beside us: nothing of it is ours to touch. */
export const setUpForeignThings = (): void => {
  for (const line of [
    '-A -t 203.0.113.200:9 -s wrr',
    '-a -t 203.0.113.200:9 -r 10.7.0.1:9 -m -w 7',
    '-A -f 77 -s sh',
    '-a -f 77 -r 10.7.0.2:0 -g -w 3',
  ])
    runLine(`ipvsadm ${line}`);
  runLine('ip link add other0 type dummy');
  runLine('ip address add 203.0.113.200/32 dev other0');
  run('nft', 'add table inet others; add set inet others kept { type ipv4_addr; elements = { 10.96.0.1 } }');
};

/** All of it, as the tools print it. */
export const foreignThings = (): string =>
  [
    ...runLine('ipvsadm -Sn')
      .split('\n')
      .filter((line) => line.includes('203.0.113.200:9 ') || line.includes(' 77 ')),
    run('sh', '-c', 'ip -o address show dev other0 | grep 203'),
    runLine('nft list table inet others'),
  ].join('\n');

/** Of the lines that `KernelLines` gives: what is not ours. */
export const isForeign = (line: string): boolean => / 203\.0\.113\.200:9 |^FWM 77 /.test(line);

/** Whether what a hand does makes it unknown to the next process which virtual servers are ours. */
export const blotsRecord = (hand: string): boolean => /^nft (flush set|delete table)/.test(hand);

const ourTable = `ipvsadm -Sn | grep -v '203.0.113.200:9\\| 77 '`;

/** Lines of a shell: what somebody may do to what is ours. Each may come too late, or be refused. */
export const foreignHands: readonly string[] = [
  // The last virtual server of ours, its last real server, and its weight.
  `$(${ourTable} | grep '^-A' | tail -1 | sed -E 's/^-A (-[tu]|--sctp-service) (\\S+).*/ipvsadm -D \\1 \\2/')`,
  `$(${ourTable} | grep '^-a' | tail -1 | sed -E 's/^-a (.*) -m .*/ipvsadm -d \\1/')`,
  `$(${ourTable} | grep '^-a' | head -1 | sed -E 's/^-a (.*) -w .*/ipvsadm -e \\1 -w 5/')`,
  `$(${ourTable} | grep '^-A' | head -1 | sed -E 's/^-A (-[tu]|--sctp-service) (\\S+).*/ipvsadm -a \\1 \\2 -r 10.7.9.9:1 -m/')`,
  'ip address add 10.96.9.9/32 dev kube-ipvs0',
  'ip address delete 10.96.0.1/32 dev kube-ipvs0',
  'ip link delete kube-ipvs0',
  'ip link set kube-ipvs0 down',
  'nft flush set ip kube-ipvs cluster-ip',
  'nft flush chain ip kube-ipvs input',
  'nft delete table ip kube-ipvs',
  'nft delete table ip6 kube-ipvs',
  "nft add element ip kube-ipvs cluster-ip '{ 10.96.0.77 . tcp . 7 }'",
];
