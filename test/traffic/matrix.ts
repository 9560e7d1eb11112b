import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseYaml } from '../../src/base/yaml.js';
import type { InClusterEndpoints } from '../../src/model/settings/in-cluster-endpoints.js';
import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import type { Transport } from './messages.js';
import { positions, type Position } from './network.js';

export const families = ['IPv4', 'IPv6'] as const;
export type Family = (typeof families)[number];
const transports = ['tcp', 'udp', 'sctp', 'ping'] as const satisfies readonly Transport[];

/** What is configured, as a KubeProxyConfiguration has it. */
export interface Setting {
  readonly about: string;
  readonly config: object;
  /** The setting whose rows it has, beside those that name it. */
  readonly as?: string;
  readonly vipBinding?: VipBinding;
  readonly inClusterEndpoints?: InClusterEndpoints;
  readonly nodePortSharing?: boolean;
}

/** One line of a case's table: the cell of each position, as written; undefined where it is not tried. */
export interface Row {
  readonly settings: readonly string[];
  readonly transports: readonly Transport[];
  readonly families: readonly Family[];
  /** As `external` or `node@cni0:22`. */
  readonly frontends: readonly string[];
  readonly cells: ReadonlyMap<Position, readonly string[]>;
}

export interface Case {
  readonly name: string;
  readonly about: string;
  /** Fields of the Service's spec beside what exposes it. */
  readonly service: object;
  /** The pods that are endpoints, ready unless told: `x`, `a/terminating`. */
  readonly endpoints: readonly string[];
  readonly sctp: boolean;
  readonly port: number;
  /** Addresses in the place of those that each case has of its own. */
  readonly external: readonly string[] | undefined;
  readonly rows: readonly Row[];
}

/** Where kube-ipvs differs from a capture. */
export interface Difference {
  readonly case: string;
  readonly target: string;
  readonly from: string;
  readonly protocol: string;
  readonly captured: string;
  readonly expected: string;
  readonly why: string;
}

interface CaseInFile {
  readonly name: string;
  readonly about: string;
  readonly service?: object;
  readonly endpoints: string;
  readonly sctp?: boolean;
  readonly port?: number;
  readonly external?: readonly string[];
  readonly expected: string;
}

interface MatrixInFile {
  readonly settings: Readonly<Record<string, Setting>>;
  readonly cases: readonly CaseInFile[];
  readonly differences: readonly Difference[];
}

const file = fileURLToPath(new URL('../../../test/traffic/matrix.yaml', import.meta.url));
// The file is ours: what is wrong in it fails below, or where it is used.
const inFile = parseYaml(readFileSync(file, 'utf8'))[0]?.value as MatrixInFile;

export const settings = inFile.settings;
export const differences = inFile.differences;

/** The configuration of a setting: one document, or two. */
export const configText = (setting: Omit<Setting, 'about'> | undefined, hostname: string): string =>
  [
    {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'ipvs',
      hostnameOverride: hostname,
      ...setting?.config,
    },
    ...(setting?.vipBinding === undefined &&
    setting?.inClusterEndpoints === undefined &&
    setting?.nodePortSharing === undefined
      ? []
      : [
          {
            apiVersion: 'kube-ipvs.dev/v1alpha1',
            kind: 'KubeIpvsConfiguration',
            vips: { binding: setting.vipBinding },
            externalTrafficPolicyLocal: { inClusterEndpoints: setting.inClusterEndpoints },
            nodePorts: { sharing: setting.nodePortSharing },
          },
        ]),
  ]
    .map((document) => JSON.stringify(document))
    .join('\n---\n');

/** The settings that differ in how pods are told from others. */
const pods = Object.entries(settings)
  .filter(([name, { as }]) => !/^(node-ports|in-cluster)/.test(name) && as === undefined)
  .map(([name]) => name);

const alike = (name: string): readonly string[] => [
  name,
  ...Object.keys(settings).filter((other) => settings[other]?.as === name),
];

const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');

const rowOf = (columns: readonly string[], line: string): Row => {
  const [withSettings = '', to = '', ...cells] = line.trim().split(/\s{2,}/);
  if (cells.length !== columns.length - 2)
    throw new Error(`matrix.yaml: ${line.trim()}: ${cells.length} cells`);
  const chosen = words(withSettings)
    .flatMap((word) => (word === 'pods' ? pods : [word]))
    .flatMap(alike);
  for (const name of chosen)
    if (settings[name] === undefined) throw new Error(`matrix.yaml: no setting ${name}`);
  const all = words(to);
  const pick = <Word extends string>(from: readonly Word[], otherwise: readonly Word[]): readonly Word[] => {
    const picked = from.filter((word) => all.includes(word));
    return picked.length > 0 ? picked : otherwise;
  };
  return {
    settings: chosen,
    transports: pick<Transport>(transports, ['tcp', 'udp']),
    families: pick<Family>(families, families),
    frontends: all.filter((word) => ![...transports, ...families].some((known) => known === word)),
    cells: new Map(
      positions.flatMap((position) => {
        const cell = cells[columns.indexOf(position) - 2] ?? '';
        return cell === '-' ? [] : [[position, words(cell)] as const];
      }),
    ),
  };
};

const caseOf = (entry: CaseInFile): Case => {
  const [head = '', ...lines] = entry.expected.trim().split('\n');
  const columns = words(head);
  if (columns.join() !== ['with', 'to', ...positions].join())
    throw new Error(`matrix.yaml: ${entry.name}: ${head}`);
  return {
    name: entry.name,
    about: entry.about,
    service: entry.service ?? {},
    endpoints: words(entry.endpoints),
    sctp: entry.sctp ?? false,
    port: entry.port ?? 80,
    external: entry.external,
    rows: lines.map((line) => rowOf(columns, line)),
  };
};

export const cases: readonly Case[] = inFile.cases.map(caseOf);
