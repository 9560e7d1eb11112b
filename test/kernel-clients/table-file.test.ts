import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf, RealServersDigest } from '../../src/kernel/ipvs/table-file/digest.js';
import { showsSettings, TickRate, type FileSettings } from '../../src/kernel/ipvs/table-file/settings.js';
import { TableFileError } from '../../src/kernel/ipvs/table-file/table-file-error.js';
import {
  readTableFile,
  type TableFile,
  type TableFileReader,
} from '../../src/kernel/ipvs/table-file/table-file.js';
import { addressOf, keyOfLine } from '../../src/kernel/ipvs/table-file/table-parser.js';
import type { VirtualServer } from '../../src/model/virtual-server.js';
import { at, real, virtual } from '../support/virtual-server-entries.js';

const title = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`;

/** As Linux 6.1 prints them. */
const table = `TCP  0A000001:0050 rr  persistent 36000 FFFFF000
  -> 0A010001:1F90      Masq    1      0          0         
  -> 0A010002:1F90      Masq    100    7          4294967295
UDP  0A000001:0062 mh ops  persistent 500 FFFFFFFF
SCTP  0A000001:0063 rr  
  -> 0A010001:0063      Tunnel  1      0          0         
UDP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0035 sh persistent 6000 40000000
  -> [fd00:0000:0000:0000:0000:0000:0000:0002]:0035      Masq    0      0          0         
  -> [ffff:fe00:8000:0000:0000:0000:abcd:0002]:FFFF      Local   -1     0          12        
FWM  00000005 wlc persistent 30000 80000000
  -> [fd00:0000:0000:0000:0000:0000:0000:0003]:0000      Route   3      0          0         
FWM  80000006 rr ops 
`;

const shown: readonly string[] = [
  'TCP 10.0.0.1:80 rr persistent 36000 fffff000',
  '→ 10.1.0.1:8080 0 1 0 0',
  '→ 10.1.0.2:8080 0 100 7 4294967295',
  'UDP 10.0.0.1:98 mh ops persistent 500 ffffffff',
  'SCTP 10.0.0.1:99 rr',
  '→ 10.1.0.1:99 2 1 0 0',
  'UDP [fd00::1]:53 sh persistent 6000 40000000',
  '→ fd00::2:53 0 0 0 0',
  '→ ffff:fe00:8000::abcd:2:65535 1 -1 0 12',
  'FWM 5 wlc persistent 30000 80000000',
  '→ fd00::3:0 3 3 0 0',
  'FWM 2147483654 rr ops',
];

const settingsText = ({ scheduler, onePacket, persistence }: FileSettings): string =>
  [
    scheduler,
    ...(onePacket ? ['ops'] : []),
    ...(persistence === undefined
      ? []
      : [`persistent ${persistence.ticks} ${persistence.netmask.toString(16)}`]),
  ].join(' ');

/** A file that gives so many bytes in each read. */
const fileOf =
  (text: string, pieces: (remaining: number) => number = (remaining) => remaining): TableFile =>
  () => {
    let rest = Buffer.from(text, 'latin1');
    return {
      read: (buffer, offset) => {
        const count = rest.copy(buffer, offset, 0, pieces(rest.length));
        rest = rest.subarray(count);
        return count;
      },
      close: () => {},
    };
  };

const linesOf = async (file: TableFile): Promise<readonly string[]> => {
  const lines: string[] = [];
  const reader: TableFileReader = {
    afterPiece: async () => {},
    virtualServer: (line) => {
      const name = line.protocol === 'FWM' ? `FWM ${line.words[0]}` : keyOfLine(line);
      lines.push(`${name} ${settingsText(line.settings)}`);
    },
    realServer: (line) => {
      const { port, forwardingCode, weight, activeConnections, inactiveConnections } = line;
      lines.push(
        `→ ${addressOf(line)}:${port} ${forwardingCode} ${weight} ${activeConnections} ${inactiveConnections}`,
      );
    },
  };
  await readTableFile(file, reader);
  return lines;
};

const problemOf = async (text: string): Promise<string> => {
  try {
    await linesOf(fileOf(text));
  } catch (error) {
    assert.ok(error instanceof TableFileError, String(error));
    return error.message;
  }
  return assert.fail(`no error: ${text}`);
};

describe('the table file', () => {
  test('has virtual servers and real servers', async () => {
    assert.deepEqual(await linesOf(fileOf(title + table)), shown);
    assert.deepEqual(await linesOf(fileOf(title)), []);
  });

  test('is the same wherever a read ends', async () => {
    const text = title + table;
    for (let first = 1; first < text.length; first += 1) {
      let reads = 0;
      const file = fileOf(text, (remaining) => {
        reads += 1;
        return reads === 1 ? first : remaining;
      });
      assert.deepEqual(await linesOf(file), shown, `the first read ends at ${first}`);
    }
    assert.deepEqual(await linesOf(fileOf(text, () => 1)), shown);
  });

  test('is the same wherever a piece ends', async () => {
    const count = 3_000;
    const text = title + table.repeat(count);
    const turns: number[] = [];
    let lines = 0;
    const count1 = (): void => void (lines += 1);
    const reader: TableFileReader = {
      virtualServer: count1,
      realServer: count1,
      afterPiece: async () => void turns.push(lines),
    };
    const read = async (pieces: (remaining: number) => number): Promise<void> => {
      lines = 0;
      await readTableFile(fileOf(text, pieces), reader);
      assert.equal(lines, count * shown.length);
    };
    for (const bytes of [4_096, 4_095, 5_003, 33_001]) await read(() => bytes);
    const steps = turns.map((each, index) => each - (turns[index - 1] ?? 0));
    assert.ok(Math.max(...steps) < 1_500, `${Math.max(...steps)} lines in one piece`);
  });

  test('asks before each page of whole lines behind the title whether to pass over it', async () => {
    const passed: (string | undefined)[] = [];
    const seen: string[] = [];
    const read = async (pages: readonly string[]): Promise<void> => {
      passed.length = 0;
      seen.length = 0;
      const rest = [...pages];
      const file: TableFile = () => ({
        read: (buffer, offset) => buffer.write(rest.shift() ?? '', offset, 'latin1'),
        close: () => {},
      });
      await readTableFile(file, {
        passesOver: (page) => {
          const text = page?.toString('latin1');
          passed.push(text);
          return text?.startsWith('UDP') === true;
        },
        virtualServer: (line) => void seen.push(line.protocol),
        realServer: () => {},
        afterPiece: async () => {},
      });
    };
    const [tcp, udp, sctp] = [
      'TCP  0A000001:0050 rr  \n',
      'UDP  0A000001:0050 rr  \n',
      'SCTP  0A000001:0050 rr  \n',
    ];
    await read([title + tcp, udp, sctp]);
    assert.deepEqual(
      [passed, seen],
      [
        [undefined, udp, sctp],
        ['TCP', 'SCTP'],
      ],
    );
    // A line that two reads share cannot be passed over.
    await read([title, tcp, udp.slice(0, 9), udp.slice(9), sctp]);
    assert.deepEqual(
      [passed, seen],
      [
        [undefined, tcp, undefined, undefined, sctp],
        ['TCP', 'UDP', 'SCTP'],
      ],
    );
  });

  test('that cannot be opened or read is a TableFileError', async () => {
    const enoent = Object.assign(new Error('ENOENT: no such file or directory'), { code: 'ENOENT' });
    const missing = linesOf(() => {
      throw enoent;
    });
    await assert.rejects(missing, (error) => error instanceof TableFileError && /ENOENT/.test(error.message));
    let closed = 0;
    const broken = linesOf(() => ({
      read: () => {
        throw new Error('EIO: i/o error');
      },
      close: () => void (closed += 1),
    }));
    await assert.rejects(broken, (error) => error instanceof TableFileError && /EIO/.test(error.message));
    assert.equal(closed, 1);
  });

  test('of another format is a TableFileError that quotes the line', async () => {
    const [line = '', realLine = ''] = table.split('\n');
    for (const [text, problem] of [
      ['', 'ends within a line'],
      [title.slice(0, 60), 'ends within a line'],
      [title.replace('version', 'release'), 'has the title "IP Virtual Server release 1.2.1 (size=4096)"'],
      [title.replace('InActConn', 'InActConn Rate'), 'InActConn Rate'],
      [`${title}TCP  0A000001:0050 rr`, 'ends within a line'],
      [`${title}${line.replace('TCP', 'DCCP')}\n`, 'has the line "DCCP  0A000001:0050'],
      [`${title}${line.replace('0A000001', '0A00001')}\n`, 'has the line'],
      [`${title}${line.replace('0A000001', '10.0.0.1')}\n`, 'has the line "TCP  10.0.0.1:0050'],
      [`${title}${line.replace('rr  ', 'rr  sh-port ')}\n`, 'settings "rr  sh-port persistent'],
      [`${title}${line.replace('FFFFF000', '20')}\n`, 'settings'],
      [`${title}${line}\n${realLine.replace('Masq', 'Bypass')}\n`, 'Bypass'],
      [`${title}${line}\n${realLine.replace('Masq', 'Full')}\n`, 'Full'],
      [`${title}${line}\n${realLine}12\n`, '0         12"'],
      [`${title}${line}\n${realLine.replace('0          0', '0')}\n`, 'has the line "  -> 0A010001:1F90'],
      [`${title}${line}\n${realLine.replace('1F90', '1F9G')}\n`, '1F9G'],
      [`${title}\n`, 'has the line ""'],
      [`${title}${'x'.repeat(70_000)}`, 'has no lines'],
    ] as const)
      assert.ok((await problemOf(text)).includes(problem), `${await problemOf(text)} — ${problem}`);
  });
});

describe('the digest of real servers', () => {
  const servers = [
    real('10.1.0.1', 8080),
    real('10.1.0.2', 8080, { weight: 0 }),
    real('fd00::2', 53, { forwarding: 'tunnel' }),
  ];
  const digest = digestOf(servers);

  test('does not depend on their order', () => {
    assert.equal(digestOf(servers.toReversed()), digest);
    assert.notEqual(digestOf(servers.slice(1)), digest);
  });

  test('is that of the lines', async () => {
    const lines = new RealServersDigest();
    const text = `${title}TCP  0A000001:0050 rr  
  -> 0A010002:1F90      Masq    0      5          0         
  -> [fd00:0000:0000:0000:0000:0000:0000:0002]:0035      Tunnel  1      0          9         
  -> 0A010001:1F90      Masq    1      0          0         
`;
    await readTableFile(fileOf(text), {
      virtualServer: () => lines.reset(),
      realServer: (line) => lines.add(line),
      afterPiece: async () => {},
    });
    assert.equal(lines.value, digest);
  });

  test('differs where anything differs', () => {
    const [first = assert.fail()] = servers;
    const variants = [
      { weight: 2 },
      { weight: 0 },
      { port: 8081 },
      { forwarding: 'direct' },
      { forwarding: 'local' },
      { address: real('10.1.0.3', 80).address },
      { address: real('::a01:1', 80).address },
    ] as const;
    const digests = variants.map((variant) => digestOf([{ ...first, ...variant }, ...servers.slice(1)]));
    assert.equal(new Set([digest, ...digests]).size, variants.length + 1);
    assert.notEqual(digestOf([first, first]), digestOf([]));
    assert.notEqual(digestOf([first]), digestOf([]));
  });

  test('differs for each of many sets', () => {
    const digests = new Set<number>();
    for (let index = 0; index < 100_000; index += 1)
      digests.add(digestOf([real(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, 80)]));
    assert.equal(digests.size, 100_000);
  });
});

describe('what the file shows of settings', () => {
  const tcp4 = at('TCP', '10.0.0.1', 80);
  const udp6 = at('UDP', 'fd00::1', 53);
  const mark = { by: 'fwmark', fwmark: 5, family: 'IPv6' } as const;
  const rate = new TickRate();
  rate.learn({ ticks: 90_000, netmask: 0 }, 360);
  const settings = (fields: Partial<FileSettings> = {}): FileSettings => ({
    scheduler: 'rr',
    onePacket: false,
    persistence: undefined,
    ...fields,
  });
  const persistence = { seconds: 10, prefixLength: 20 };

  const rows: readonly (readonly [string, FileSettings, VirtualServer, boolean])[] = [
    ['the same', settings(), virtual(tcp4), true],
    ['another scheduler', settings({ scheduler: 'wrr' }), virtual(tcp4), false],
    ['one packet', settings({ onePacket: true }), virtual(tcp4, { flags: ['ops'] }), true],
    ['one packet only there', settings({ onePacket: true }), virtual(tcp4), false],
    ['one packet only here', settings(), virtual(tcp4, { flags: ['ops'] }), false],
    ['one packet, not shown for IPv6', settings(), virtual(udp6, { flags: ['ops'] }), true],
    ['one packet, shown for a mark', settings({ onePacket: true }), virtual(mark, { flags: ['ops'] }), true],
    ['a flag that is not shown', settings(), virtual(tcp4, { flags: ['sh-port'] }), true],
    [
      'persistence',
      settings({ persistence: { ticks: 2_500, netmask: 0xfffff000 } }),
      virtual(tcp4, { persistence }),
      true,
    ],
    ['persistence only here', settings(), virtual(tcp4, { persistence }), false],
    [
      'persistence only there',
      settings({ persistence: { ticks: 2_500, netmask: 0xfffff000 } }),
      virtual(tcp4),
      false,
    ],
    [
      'another timeout',
      settings({ persistence: { ticks: 2_501, netmask: 0xfffff000 } }),
      virtual(tcp4, { persistence }),
      false,
    ],
    [
      'another netmask',
      settings({ persistence: { ticks: 2_500, netmask: 0xffffe000 } }),
      virtual(tcp4, { persistence }),
      false,
    ],
    [
      'the longest timeout, which the kernel prints as negative',
      settings({ persistence: { ticks: -2_147_483_546, netmask: 0xffffffff } }),
      virtual(tcp4, { persistence: { seconds: 8_589_935, prefixLength: 32 } }),
      true,
    ],
    [
      'a prefix of IPv6',
      settings({ persistence: { ticks: 2_500, netmask: 0x40000000 } }),
      virtual(udp6, { persistence: { seconds: 10, prefixLength: 64 } }),
      true,
    ],
    [
      'another prefix of IPv6',
      settings({ persistence: { ticks: 2_500, netmask: 0x40000000 } }),
      virtual(udp6, { persistence: { seconds: 10, prefixLength: 128 } }),
      false,
    ],
  ];
  for (const [name, fileSettings, server, expected] of rows)
    test(name, () => assert.equal(showsSettings(fileSettings, server, rate), expected));

  test('a timeout is unknown before netlink told one', () => {
    const server = virtual(tcp4, { persistence });
    const shownThere = settings({ persistence: { ticks: 1_000, netmask: 0xfffff000 } });
    const unknown = new TickRate();
    assert.equal(showsSettings(shownThere, server, unknown), false);
    // A timeout that changed between the two reads teaches nothing.
    unknown.learn({ ticks: 1_000, netmask: 0 }, 7);
    assert.equal(showsSettings(shownThere, server, unknown), false);
    unknown.learn({ ticks: 1_000, netmask: 0 }, 10);
    assert.equal(showsSettings(shownThere, server, unknown), true);
  });
});
