// Inside the lab: runs each case in a separate network namespace under strace, and writes the
// datagrams it exchanged with the kernel as DIRECTORY/{ipvs,rtnetlink,nftables}/NAME.json.
// Started by scripts/capture-netlink.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { release } from 'node:os';

const [directory, ...wanted] = process.argv.slice(2);
const namespace = 'capture';
const trace = '/tmp/trace';

// ---- what is recorded

const v4 = '10.96.0.10:80';
const v6 = '[2001:db8:96::10]:80';
const real4 = '10.244.0.11:8080';
const real6 = '[2001:db8:244::11]:8080';
const tcp4 = `ipvsadm -A -t ${v4} -s rr`;
const tcp6 = `ipvsadm -A -t ${v6} -s rr`;
const withServer = [tcp4, `ipvsadm -a -t ${v4} -r ${real4} -m`];
const dummy = 'ip link add kube-ipvs0 address 02:00:00:00:00:01 type dummy';
const withAddresses = [
  dummy,
  'ip addr add 10.96.0.10/32 dev kube-ipvs0',
  'ip addr add 2001:db8:96::10/128 dev kube-ipvs0 nodad',
];

/** A table with counters: three datagrams to a service whose real server is this node itself. */
const usedTable = [
  ...withAddresses,
  'ip link set kube-ipvs0 up',
  'ip addr add 10.244.0.11/32 dev kube-ipvs0',
  tcp4,
  `ipvsadm -a -t ${v4} -r ${real4} -m -w 3 -x 200 -y 100`,
  `ipvsadm -a -t ${v4} -r 10.244.0.12:8080 -g -w 0`,
  tcp6,
  `ipvsadm -a -t ${v6} -r ${real6} -m`,
  'ipvsadm -A -u 10.96.0.10:53 -s sh -b sh-port,sh-fallback -p 10800',
  'ipvsadm -a -u 10.96.0.10:53 -r 10.244.0.11:53 -m',
  'ipvsadm -A -f 7 -s wlc',
  'ipvsadm -a -f 7 -r 10.244.0.13 -i',
  "bash -c 'for i in 1 2 3; do echo hello >/dev/udp/10.96.0.10/53; sleep 1; done'",
  'sleep 3',
];

const ipvs = {
  start: ['what ipvsadm asks first: the family IPVS and the version', 'ipvsadm -Ln'],

  'service-add-tcp4': ['add a virtual server', tcp4],
  'service-add-udp4': ['add a virtual server', 'ipvsadm -A -u 10.96.0.10:53 -s lc'],
  'service-add-sctp4': ['add a virtual server', 'ipvsadm -A --sctp-service 10.96.0.10:9999 -s wrr'],
  'service-add-tcp6': ['add a virtual server', tcp6],
  'service-add-udp6': ['add a virtual server', 'ipvsadm -A -u [2001:db8:96::10]:53 -s rr'],
  'service-add-sctp6': ['add a virtual server', 'ipvsadm -A --sctp-service [2001:db8:96::10]:9999 -s rr'],
  'service-add-mark4': ['add a virtual server by firewall mark', 'ipvsadm -A -f 7 -s rr'],
  'service-add-mark6': ['add a virtual server by firewall mark', 'ipvsadm -A -f 7 -6 -s rr'],
  'service-add-persistent': ['persistence of three hours', `${tcp4} -p 10800`],
  'service-add-persistent-netmask4': ['persistence for a /24', `${tcp4} -p 360 -M 255.255.255.0`],
  'service-add-persistent-prefix6': ['persistence for a /64', `${tcp6} -p 360 -M 64`],
  'service-add-sh-fallback': ['flag sh-fallback', `ipvsadm -A -t ${v4} -s sh -b sh-fallback`],
  'service-add-sh-port': ['flag sh-port', `ipvsadm -A -t ${v4} -s sh -b sh-port`],
  'service-add-sh-both': [
    'flags sh-fallback and sh-port',
    `ipvsadm -A -t ${v4} -s sh -b sh-fallback,sh-port`,
  ],
  'service-add-mh-fallback': ['flag mh-fallback', `ipvsadm -A -t ${v4} -s mh -b mh-fallback`],
  'service-add-mh-port': ['flag mh-port', `ipvsadm -A -t ${v4} -s mh -b mh-port`],
  'service-add-third-flag': ['the third scheduler flag', `ipvsadm -A -t ${v4} -s rr -b flag-3`],
  'service-add-ops': ['one-packet scheduling', 'ipvsadm -A -u 10.96.0.10:53 -s rr -o'],
  'service-edit-scheduler': ['edit a virtual server', `ipvsadm -E -t ${v4} -s wlc`, [tcp4]],
  'service-edit-persistence': ['edit a virtual server', `ipvsadm -E -t ${v4} -s rr -p 600`, [tcp4]],
  'service-delete4': ['delete a virtual server', `ipvsadm -D -t ${v4}`, withServer],
  'service-delete6': ['delete a virtual server', `ipvsadm -D -t ${v6}`, [tcp6]],
  'service-delete-mark4': ['delete a virtual server', 'ipvsadm -D -f 7', ['ipvsadm -A -f 7 -s rr']],
  flush: ['delete all virtual servers', 'ipvsadm -C', withServer],

  'service-add-existing': ['EEXIST: it is there', tcp4, [tcp4]],
  'service-add-unknown-scheduler': ['ENOENT: no such scheduler', `ipvsadm -A -t ${v4} -s nosuch`],
  'service-edit-missing': ['ESRCH: no such virtual server', `ipvsadm -E -t ${v4} -s rr`],
  'service-delete-missing': ['ESRCH: no such virtual server', `ipvsadm -D -t ${v4}`],

  'server-add-masquerade4': ['add a real server', `ipvsadm -a -t ${v4} -r ${real4} -m`, [tcp4]],
  'server-add-masquerade6': ['add a real server', `ipvsadm -a -t ${v6} -r ${real6} -m`, [tcp6]],
  'server-add-direct': ['add a real server', `ipvsadm -a -t ${v4} -r 10.244.0.11:80 -g`, [tcp4]],
  'server-add-tunnel-ipip': ['add a real server', `ipvsadm -a -t ${v4} -r 10.244.0.11:80 -i`, [tcp4]],
  'server-add-tunnel-gue': [
    'add a real server',
    `ipvsadm -a -t ${v4} -r 10.244.0.11:80 -i --tun-type gue --tun-port 6080 --tun-nocsum`,
    [tcp4],
  ],
  'server-add-tunnel-gue-checksum': [
    'add a real server',
    `ipvsadm -a -t ${v4} -r 10.244.0.11:80 -i --tun-type gue --tun-port 6080 --tun-csum`,
    [tcp4],
  ],
  'server-add-tunnel-gre': [
    'add a real server',
    `ipvsadm -a -t ${v4} -r 10.244.0.11:80 -i --tun-type gre`,
    [tcp4],
  ],
  'server-add-mixed-family': [
    'an IPv6 real server, by a tunnel, of an IPv4 virtual server',
    `ipvsadm -a -t ${v4} -r ${real6.replace('8080', '80')} -i`,
    [tcp4],
  ],
  'server-add-weight-zero': ['weight 0', `ipvsadm -a -t ${v4} -r ${real4} -m -w 0`, [tcp4]],
  'server-add-weight': ['weight 100', `ipvsadm -a -t ${v4} -r ${real4} -m -w 100`, [tcp4]],
  'server-add-thresholds': ['thresholds', `ipvsadm -a -t ${v4} -r ${real4} -m -x 200 -y 100`, [tcp4]],
  'server-add-to-mark': ['add a real server', 'ipvsadm -a -f 7 -r 10.244.0.11 -g', ['ipvsadm -A -f 7 -s rr']],
  'server-edit-weight': ['edit a real server', `ipvsadm -e -t ${v4} -r ${real4} -m -w 0`, withServer],
  'server-edit-thresholds': [
    'edit a real server',
    `ipvsadm -e -t ${v4} -r ${real4} -m -x 20 -y 10`,
    withServer,
  ],
  'server-delete4': ['delete a real server', `ipvsadm -d -t ${v4} -r ${real4}`, withServer],
  'server-delete6': [
    'delete a real server',
    `ipvsadm -d -t ${v6} -r ${real6}`,
    [tcp6, `ipvsadm -a -t ${v6} -r ${real6} -m`],
  ],

  'server-add-existing': ['EEXIST: it is there', `ipvsadm -a -t ${v4} -r ${real4} -m`, withServer],
  'server-add-no-service': ['ESRCH: no such virtual server', `ipvsadm -a -t ${v4} -r ${real4} -m`],
  'server-add-broadcast': ['EINVAL: not a host', `ipvsadm -a -t ${v4} -r 255.255.255.255:80 -m`, [tcp4]],
  'server-edit-missing': ['ENOENT: no such real server', `ipvsadm -e -t ${v4} -r ${real4} -m -w 2`, [tcp4]],
  'server-delete-missing': ['ENOENT: no such real server', `ipvsadm -d -t ${v4} -r ${real4}`, [tcp4]],

  'timeouts-set': ['connection timeouts', 'ipvsadm --set 900 120 300'],
  'timeouts-set-some': ['0 leaves one as it is', 'ipvsadm --set 0 0 42'],
  'timeouts-get': ['connection timeouts', 'ipvsadm -L --timeout', ['ipvsadm --set 900 120 300']],
  'daemon-get-none': ['no daemon runs', 'ipvsadm -L --daemon'],
  'daemon-start': [
    'start a daemon',
    'ipvsadm --start-daemon backup --mcast-interface kube-ipvs0 --syncid 7',
    [dummy, 'ip link set kube-ipvs0 multicast on up'],
  ],
  'daemon-get': [
    'one daemon runs',
    'ipvsadm -L --daemon',
    [
      dummy,
      'ip link set kube-ipvs0 multicast on up',
      'ipvsadm --start-daemon backup --mcast-interface kube-ipvs0 --syncid 7',
    ],
  ],
  zero: ['reset all counters', 'ipvsadm -Z', usedTable],
  'zero-service': ['reset the counters of one virtual server', `ipvsadm -Z -t ${v4}`, withServer],
  'list-empty': ['no virtual server', 'ipvsadm -Ln'],
  list: ['virtual servers of all kinds with real servers', 'ipvsadm -Ln', usedTable],
  'list-stats': ['the same with counters', 'ipvsadm -Ln --stats --exact', usedTable],
  'list-rate': ['the same with rates', 'ipvsadm -Ln --rate', usedTable],
  'list-thresholds': ['the same with thresholds', 'ipvsadm -Ln --thresholds', usedTable],
  'list-service': ['one virtual server', `ipvsadm -Ln -t ${v4}`, withServer],
  'list-service-missing': ['ESRCH: no such virtual server', `ipvsadm -Ln -t ${v4}`],
  'list-many': [
    'a dump of more than one datagram',
    'ipvsadm -Ln',
    ['for i in $(seq 120); do echo "-A -t 10.96.1.$i:80 -s rr"; done | ipvsadm -R'],
  ],
};

const up = 'ip link set kube-ipvs0 up';
const add4 = 'ip addr add 10.96.0.10/32 dev kube-ipvs0';
const add6 = 'ip addr add 2001:db8:96::10/128 dev kube-ipvs0';
const route4 = 'ip route add local 10.96.0.10 dev lo table local proto 73 metric 73';
const route6 = 'ip -6 route add local 2001:db8:96::10 dev lo table local proto 73 metric 73';
const loopback = 'ip link set lo up';
const manyAddresses =
  'for i in $(seq 450); do echo "addr add 10.97.$((i / 250)).$((i % 250 + 1))/32 dev kube-ipvs0"; done | ip -batch -';

const rtnetlink = {
  'link-add': ['make a dummy device', 'ip link add kube-ipvs0 type dummy'],
  'link-add-address': ['make a dummy device with a hardware address', dummy],
  'link-add-existing': ['EEXIST: it is there', dummy, [dummy]],
  'link-add-unknown-kind': ['EOPNOTSUPP: no such kind', 'ip link add kube-ipvs0 type nosuch'],
  'link-show': ['one device', 'ip link show dev kube-ipvs0', [dummy]],
  'link-show-all': ['all devices', 'ip link show', [dummy]],
  'link-show-missing': ['ENODEV: no such device', 'ip link show dev kube-ipvs0'],
  'link-set-up': ['bring a device up', up, [dummy]],
  'link-set-down': ['bring a device down', 'ip link set kube-ipvs0 down', [dummy, up]],
  'link-set-missing': ['ENODEV: no such device', up],
  'link-delete': ['delete a device', 'ip link del kube-ipvs0', [dummy]],
  'link-delete-missing': ['ENODEV: no such device', 'ip link del kube-ipvs0'],

  'address-add4': ['add an address', add4, [dummy]],
  'address-add6': ['add an address', add6, [dummy]],
  'address-add6-nodad': ['add an address without a search for duplicates', `${add6} nodad`, [dummy]],
  'address-add4-flags': ['add an address without its route', `${add4} noprefixroute scope link`, [dummy]],
  'address-add4-lifetime': ['add an address for a time', `${add4} valid_lft 600 preferred_lft 300`, [dummy]],
  'address-add4-existing': ['EEXIST: it is there', add4, [dummy, add4]],
  'address-add6-existing': ['EEXIST: it is there', add6, [dummy, add6]],
  'address-add-no-device': ['ENODEV: no such device', add4],
  'address-delete4': ['delete an address', add4.replace(' add ', ' del '), [dummy, add4]],
  'address-delete6': ['delete an address', add6.replace(' add ', ' del '), [dummy, add6]],
  'address-delete4-missing': ['EADDRNOTAVAIL: no such address', add4.replace(' add ', ' del '), [dummy]],
  'address-delete6-missing': ['EADDRNOTAVAIL: no such address', add6.replace(' add ', ' del '), [dummy]],
  'address-show': ['the addresses of a device', 'ip addr show dev kube-ipvs0', [...withAddresses, up]],
  'address-show-all4': ['all IPv4 addresses', 'ip -4 addr show', [...withAddresses, up]],
  'address-show-all6': ['all IPv6 addresses', 'ip -6 addr show', [...withAddresses, up]],
  'address-show-many4': ['a dump of more than one datagram', 'ip -4 addr show', [dummy, manyAddresses]],
  'route-add4': ['add a local route', route4],
  'route-add6': ['add a local route', route6, [loopback]],
  'route-add4-existing': ['EEXIST: it is there', route4, [route4]],
  'route-delete4': ['delete a local route', route4.replace(' add ', ' del '), [route4]],
  'route-delete6': ['delete a local route', route6.replace(' add ', ' del '), [loopback, route6]],
  'route-delete4-missing': ['ESRCH: no such route', route4.replace(' add ', ' del ')],
  'route-show4': ['local routes of one protocol', 'ip route show table local proto 73', [route4]],
  'route-show-all4': ['local routes', 'ip route show table local', [route4]],
  'route-show-all6': ['local routes', 'ip -6 route show table local', [loopback, route6]],
  'monitor-route': [
    'events: local routes added and deleted, and an address, whose route the kernel adds',
    'timeout 10 ip monitor route',
    [dummy, `(sleep 5; ${route4}; ${add4}; ${route4.replace(' add ', ' del ')}) >/dev/null 2>&1 &`],
  ],
  monitor: [
    'events: a device made, brought up, addresses added and deleted, the device deleted',
    'timeout 10 ip monitor link address',
    [
      `(sleep 5; ${dummy}; ${up}; ${add4}; ${add6} nodad; ${add4.replace(' add ', ' del ')};` +
        ' ip link del kube-ipvs0) >/dev/null 2>&1 &',
    ],
  ],
};

/** One transaction of `nft`, whose commands semicolons divide. */
const nft = (...lines) => `nft '${lines.join('; ')}'`;
const addresses = { ip: '10.96.0.10', ip6: 'fd00:96::10' };
const masks = { ip: '255.255.255.0', ip6: 'ffff:ff00::' };
const sets = (family) => {
  const [table, address] = [`${family} kube-ipvs`, family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'];
  return [
    `add table ${table}`,
    `add map ${table} services { type ${address} . inet_proto . inet_service : verdict; comment "virtual servers"; }`,
    `add set ${table} vips { type ${address}; comment "addresses"; }`,
    `add set ${table} sources-24 { type ${address} . inet_proto . inet_service . ${address}; }`,
    `add chain ${table} cluster-ip`,
    `add chain ${table} refuse`,
    `add chain ${table} input { type filter hook input priority -10; policy accept; }`,
    `add chain ${table} pin { type nat hook prerouting priority -105; policy accept; }`,
    `add chain ${table} postrouting { type nat hook postrouting priority 95; policy accept; }`,
  ];
};
/** In the words of our own ruleText, which the tests hold against them (test/support/packet-rules.ts). */
const rules = (family) =>
  [
    'cluster-ip meta mark set meta mark | 0x00004000 comment "mark"',
    'cluster-ip meta mark set meta mark ^ 0x00004000',
    'cluster-ip meta mark set meta mark & 0xffffbfff',
    'cluster-ip meta mark set 0x00000007',
    'cluster-ip return',
    'refuse meta l4proto tcp counter packets 0 bytes 0 reject with tcp reset',
    `refuse reject with icmp${family === 'ip' ? '' : 'v6'} port-unreachable comment "no port"`,
    `input ct state new ${family} daddr . meta l4proto . th dport vmap @services comment "which"`,
    `input ${family} daddr . meta l4proto . th dport . ${family} saddr & ${masks[family]} @sources-24 accept comment "ranges"`,
    `input ${family} daddr != @vips goto refuse`,
    `input ${family} saddr != ${addresses[family]} jump cluster-ip`,
    'input iifname "veth*" oifname != "eth0" drop',
    'input fib saddr type local fib daddr type != local continue',
    'input meta protocol != arp iif 1 oif != 1 ct mark 0x00000005 ct status dnat th sport >= 1024',
    `pin ${family} daddr @vips dnat to ${family} daddr`,
    'postrouting meta mark & 0x00004000 == 0x00004000 meta l4proto udp masquerade to :32768-65535 fully-random comment "masquerade"',
    'postrouting masquerade',
  ].map((rule) => `add rule ${family} kube-ipvs ${rule}`);
const elements = (family) => [
  `add element ${family} kube-ipvs services { ${addresses[family]} . tcp . 80 : goto cluster-ip }`,
  `add element ${family} kube-ipvs services { ${addresses[family]} . udp . 53 : goto refuse }`,
  `add element ${family} kube-ipvs vips { ${addresses[family]} }`,
];
const deleteElement = nft(`delete element ip kube-ipvs services { 10.96.0.10 . tcp . 80 }`);
const packetRules = [nft(...sets('ip')), nft(...rules('ip')), nft(...elements('ip'))];

const nftables = {
  'declare-sets4': ['a table, sets and chains', nft(...sets('ip'))],
  'declare-sets6': ['a table, sets and chains', nft(...sets('ip6'))],
  'declare-rules4': ['rules', nft(...rules('ip')), [nft(...sets('ip'))]],
  'declare-rules6': ['rules', nft(...rules('ip6')), [nft(...sets('ip6'))]],
  'flush-table': ['delete all rules of a table', nft('flush table ip kube-ipvs'), packetRules],
  'elements-add4': ['add elements', nft(...elements('ip')), [nft(...sets('ip'))]],
  'elements-add6': ['add elements', nft(...elements('ip6')), [nft(...sets('ip6'))]],
  'elements-delete': ['delete an element', deleteElement, packetRules],
  'elements-delete-missing': ['ENOENT: no such element', deleteElement, [nft(...sets('ip'))]],
  'table-delete': ['delete a table', nft('delete table ip kube-ipvs'), packetRules],
  'table-delete-missing': ['ENOENT: no such table', nft('delete table ip kube-ipvs')],
  'table-list': ['all of a table', nft('list table ip kube-ipvs'), packetRules],
  'chains-list': ['the base chains of all tables', nft('list chains'), packetRules],
  'table-monitor': [
    'events: a table declared, an element deleted, all deleted',
    'timeout 10 nft monitor',
    [
      `(sleep 5; ${nft(...sets('ip'))}; ${nft(...elements('ip'))}; ${deleteElement};` +
        ' nft flush ruleset) >/dev/null 2>&1 &',
    ],
  ],
};

// ---- how

const inNamespace = (command, options = {}) =>
  spawnSync('ip', ['netns', 'exec', namespace, ...command], { encoding: 'utf8', ...options });

const versionOf = (command, pattern) =>
  pattern.exec(execFileSync(...command, { encoding: 'utf8' }))?.[1] ?? 'unknown';
const provenance = {
  ipvsadm: versionOf(['ipvsadm', ['--help']], /v([\d.]+)/),
  iproute2: versionOf(['ip', ['-V']], /iproute2-([\w.]+)/),
  nft: versionOf(['nft', ['--version']], /v([\d.]+)/),
  strace: versionOf(['strace', ['--version']], /version ([\d.]+)/),
  kernel: release(),
};

/** The datagrams of a trace, in order. A look that leaves the datagram in the queue (MSG_PEEK) is none. */
const datagramsOf = (text) => {
  const datagrams = [];
  let current;
  for (const line of text.split('\n')) {
    const call = /^\d+ +(send|recv)\w+\((.*)/.exec(line);
    const bytes = /^ \| [0-9a-f]+ {2}((?:[0-9a-f]{2} {1,2})+)/.exec(line);
    if (call) {
      current = call[2].includes('MSG_PEEK') ? undefined : { direction: call[1], hex: '' };
      if (current) datagrams.push(current);
    } else if (bytes && current) {
      current.hex += bytes[1].replaceAll(' ', '');
    }
  }
  return datagrams
    .filter(({ hex }) => hex !== '')
    .map(({ direction, hex }) => ({ direction, bytes: Buffer.from(hex, 'hex') }));
};

/** The message type that a datagram is about: its own, or for an error message that of the request. */
const subjectOf = (bytes) => {
  const isError = bytes.readUInt16LE(4) === 2;
  const message = isError ? bytes.subarray(20) : bytes;
  return {
    type: message.readUInt16LE(4),
    sequence: message.readUInt32LE(8),
    command: isError ? undefined : message[16],
  };
};

/** ipvsadm looks for the family and the version before everything else: kept in `start` alone. */
const isStartOfIpvsadm = ({ bytes }) => {
  const controller = 0x10;
  const [answerInfo, getInfo] = [14, 15];
  const { type, command } = subjectOf(bytes);
  return type === controller || command === getInfo || command === answerInfo;
};

/** `ip` asks with an empty message, of sequence 0, whether the kernel knows RTM_NEWLINK. Events have more to say. */
const isProbeOfIp = ({ bytes }) => {
  const newLink = 0x10;
  const [emptyMessage, errorHeader] = [32, 20];
  const { type, sequence } = subjectOf(bytes);
  return type === newLink && sequence === 0 && bytes.length <= emptyMessage + errorHeader;
};

const record = (family, name, [about, command, setUp = []]) => {
  execFileSync('ip', ['netns', 'add', namespace]);
  execFileSync('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
  for (const step of setUp) {
    const { status, stderr } = inNamespace(['sh', '-c', step]);
    if (status !== 0) throw new Error(`${name}: "${step}" failed: ${stderr}`);
  }
  const calls = [
    '-f',
    '-e',
    'trace=sendto,sendmsg,recvfrom,recvmsg',
    '-e',
    'verbose=none',
    '-e',
    'read=all',
    '-e',
    'write=all',
  ];
  const { status, stdout, stderr } = inNamespace([
    'strace',
    ...calls,
    '-o',
    trace,
    'sh',
    '-c',
    `exec ${command}`,
  ]);
  let datagrams = datagramsOf(readFileSync(trace, 'utf8'));
  if (family === 'rtnetlink') datagrams = datagrams.filter((datagram) => !isProbeOfIp(datagram));
  else if (family === 'ipvs' && name !== 'start')
    datagrams = datagrams.filter((datagram) => !isStartOfIpvsadm(datagram));
  const hexOf = (direction) =>
    datagrams
      .filter((datagram) => datagram.direction === direction)
      .map(({ bytes }) => bytes.toString('hex'));
  const sent = hexOf('send');
  const received = hexOf('recv');
  if (received.length === 0) throw new Error(`${name}: nothing received; ${stderr}`);
  const output = `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
  const fixture = { about, command, setUp, status, output, provenance, sent, received };
  writeFileSync(join(directory, family, `${name}.json`), `${JSON.stringify(fixture, null, 2)}\n`);
  console.log(`${family}/${name}: status ${status}, ${sent.length} sent, ${received.length} received`);
  rmSync(trace);
  execFileSync('ip', ['netns', 'del', namespace]);
};

for (const [family, cases] of Object.entries({ ipvs, rtnetlink, nftables })) {
  for (const [name, description] of Object.entries(cases)) {
    if (wanted.length === 0 || wanted.includes(name)) record(family, name, description);
  }
}
