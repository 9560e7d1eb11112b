import type { FrontendKind } from '../admin-api/responses.js';
import { frontendName } from './service-answer.js';

/** What is compared of `dump -o json`: counters and connections are not. */
export interface DumpAnswer {
  readonly virtualServers: Readonly<
    Record<
      string,
      {
        readonly service?: string;
        readonly port?: { readonly name: string };
        readonly frontend?: FrontendKind;
        readonly scheduler: string;
        readonly persistent?: number;
        readonly flags?: readonly string[];
        readonly realServers: Readonly<
          Record<string, { readonly pod?: string; readonly weight: number; readonly forwarding: string }>
        >;
      }
    >
  >;
}

type DumpedServer = DumpAnswer['virtualServers'][string];

const serverLine = (key: string, server: DumpedServer): string => {
  const { service, port, frontend, scheduler, persistent, flags = [] } = server;
  const name = frontend === undefined ? key : frontendName({ key, frontend });
  const owner = service === undefined ? '' : `${service}${port?.name ? `:${port.name}` : ''}`;
  const parts = [
    name,
    owner,
    scheduler,
    persistent === undefined ? '' : `persistent ${persistent}`,
    ...flags,
  ];
  return parts.filter((part) => part !== '').join('  ');
};

/** The table as lines that are the same on nodes with the same table; a virtual server and its real servers follow one another. */
export const tableLines = ({ virtualServers }: DumpAnswer): readonly string[] => {
  const blocks = new Set(
    Object.entries(virtualServers).map(([key, server]) => {
      const realServers = Object.entries(server.realServers).map(
        ([realServer, { pod, weight, forwarding }]) =>
          [`  → ${realServer}`, pod ?? '', forwarding, `weight ${weight}`]
            .filter((part) => part !== '')
            .join('  '),
      );
      return [serverLine(key, server), ...realServers.toSorted()].join('\n');
    }),
  );
  return [...blocks].toSorted().flatMap((block) => block.split('\n'));
};

/** A line of one table that another one lacks, with the virtual server above it. */
export interface LineDifference {
  readonly sign: '+' | '-';
  readonly line: string;
}

const withServer = (lines: readonly string[]): ReadonlyMap<string, string> => {
  const byKey = new Map<string, string>();
  let server = '';
  for (const line of lines) {
    if (!line.startsWith(' ')) server = line.split('  ')[0] ?? line;
    byKey.set(`${server}\n${line}`, line.startsWith(' ') ? `${server}${line.slice(1)}` : line);
  }
  return byKey;
};

/** How a table differs from that of most nodes: `+` only this one has the line, `-` it lacks the line. */
export const tableDifferences = (
  most: readonly string[],
  other: readonly string[],
): readonly LineDifference[] => {
  const common = withServer(most);
  const own = withServer(other);
  return [
    ...[...common].filter(([key]) => !own.has(key)).map(([, line]) => ({ sign: '-' as const, line })),
    ...[...own].filter(([key]) => !common.has(key)).map(([, line]) => ({ sign: '+' as const, line })),
  ];
};
