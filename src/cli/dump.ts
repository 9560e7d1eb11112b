import { UsageError } from '../config/flags.js';
import { ipvsadmText } from '../plan/table.js';
import { dumpJson } from './dump-json.js';
import type { KernelTable } from './kernel-table.js';
import { paletteFor } from './paint.js';
import { tableText } from './table-text.js';
import { matchesTarget, parseTarget } from './target.js';

export interface DumpOptions {
  /** The packet rules instead of the IPVS table. */
  readonly rules: boolean;
  /** As the user wrote it; undefined: everything. */
  readonly target: string | undefined;
  readonly output: string;
  readonly statistics: boolean;
  readonly rates: boolean;
  /** A line of column titles. */
  readonly titles: boolean;
}

const format = async (table: KernelTable, options: DumpOptions): Promise<string> => {
  switch (options.output) {
    case 'json':
      return `${JSON.stringify(dumpJson(table, options), undefined, 2)}\n`;
    case 'yaml': {
      const { formatYaml } = await import('../base/yaml.js');
      return formatYaml(dumpJson(table, options));
    }
    case 'ipvsadm':
      return ipvsadmText(table.tables);
    default:
      return tableText(table.tables, {
        ...options,
        wide: options.output === 'wide',
        palette: paletteFor(process.stdout, process.env),
      });
  }
};

const dumpRules = async ({ target, output }: DumpOptions): Promise<number> => {
  if (output === 'ipvsadm')
    throw new UsageError('ipvsadm knows no packet rules; --rules goes with -o table, json or yaml');
  const { packetRulesText } = await import('./packet-rules.js');
  const text = await packetRulesText(output, target === undefined ? undefined : parseTarget(target));
  if (text === undefined) process.stderr.write('There are no packet rules of kube-ipvs here.\n');
  else process.stdout.write(text);
  return 0;
};

/** Prints the kernel's table, or the part that the target names; 1 where the target has no virtual server. Rejects with an InputError for a target that is none, and where the kernel can't be read. */
export const dump = async (options: DumpOptions): Promise<number> => {
  if (options.rules) return dumpRules(options);
  const target = options.target === undefined ? undefined : parseTarget(options.target);
  const { readKernel } = await import('./read-kernel.js');
  const table = await readKernel((identity) => target === undefined || matchesTarget(target, identity));
  const empty = table.tables.length === 0;
  const forPeople = options.output === 'table' || options.output === 'wide';
  if (empty)
    process.stderr.write(
      target === undefined
        ? 'The IPVS table is empty: there is no virtual server.\n'
        : `There is no virtual server at ${options.target}; \`kube-ipvs dump\` shows all.\n`,
    );
  if (!empty || !forPeople) process.stdout.write(await format(table, options));
  return empty && target !== undefined ? 1 : 0;
};
