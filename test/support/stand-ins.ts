// Golden files and the tour in docs/tour.md show a stand-in for each value that differs between runs or machines. A pattern names
// the place and the shape of such a value, so that other text stays: test/cli/stand-ins.test.ts.

/** The versions of this machine, as `process.version` and `os.release()` give them. */
export interface MachineVersions {
  readonly node: string;
  readonly kernel: string;
}

type StandIn = readonly [changing: RegExp, standIn: string];

const standInFor = (text: string, standIns: readonly StandIn[]): string =>
  standIns.reduce((result, [changing, standIn]) => result.replaceAll(changing, standIn), text);

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** After one of these words, and not a part of a longer version. */
const versionAfter = (words: string, version: string): RegExp =>
  new RegExp(String.raw`(?<=\b(?:${words})"?:? "?)${escaped(version)}(?![\w.+-])`, 'g');

const versionStandIns = ({ node, kernel }: MachineVersions): readonly StandIn[] => [
  [versionAfter(String.raw`Node\.js|node`, node), 'v20.0.0'],
  [versionAfter('kernel|kernelRelease|Linux', kernel), '6.1.0'],
];

/** Replaces the versions of this machine. */
export const withStableVersions = (text: string, versions: MachineVersions): string =>
  standInFor(text, versionStandIns(versions));

const countKeys = 'pid|uptimeSeconds|secondsAgo|tookSeconds|applied|expiresSeconds|intervalSeconds';

/** As long as what they stand for, so that columns stay. */
const nodeStandIns: readonly StandIn[] = [
  [/(?<=\bTIME_WAIT +)\d{3}s\b/g, '118s'],
  [/\b\d+s ago\b/g, '2s ago'],
  [/\btook \d+(?:\.\d+)? (?:ms|s)\b/g, 'took 20 ms'],
  [new RegExp(String.raw`(?<=(?:^ *|")(?:${countKeys})"?: ?)\d+(?:\.\d+)?\b`, 'gm'), '1'],
  [/\b\d+ operations? applied\b/g, '0 operations applied'],
  [/(?<=\bprocess +)\d+, up (?:\d+[dhms])+\b/g, '1234, up 1m'],
  [/(?<=\(process )\d+(?=\))/g, '1234'],
  [/(?<=\bmanifests(?:"?: ?"?| ))\/tmp\/[\w./-]+/g, '/root/examples'],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, '2026-11-23T10:00:00Z'],
];

/** Replaces what differs between two tours: versions, ages, durations, counts, process ids, directories and times. */
export const withStableNode = (text: string, versions: MachineVersions): string =>
  standInFor(withStableVersions(text, versions), nodeStandIns);
