import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { InputError, messageOf } from '../../base/errors.js';
import type { FlagValues } from '../../config/parse-flags.js';
import { loadSettings } from '../../config/load-settings.js';
import { networkWarnings } from '../../config/network-families.js';
import { kubeIpvsDocument, kubeProxyDocument, yamlDocuments } from '../../config/configuration-document.js';
import { resolveSettings, type Settings } from '../../config/settings.js';
import { printDiagnostic } from '../output/standard-output.js';

/** The format of both documents. */
export type ConfigFormat = 'yaml' | 'json';

const print = (settings: Settings, format: ConfigFormat): void => {
  const documents = [kubeProxyDocument(settings), kubeIpvsDocument(settings)];
  const text = format === 'json' ? `${JSON.stringify(documents, undefined, 2)}\n` : yamlDocuments(documents);
  process.stdout.write(text);
};

const printWarnings = (warnings: readonly string[]): void => {
  for (const warning of warnings) printDiagnostic(`warning: ${warning}`);
};

/** Prints the effective configuration of these flags and their files. InputError where it is not valid. */
export const printConfig = (flags: FlagValues, format: ConfigFormat): number => {
  const settings = loadSettings(flags);
  printWarnings(settings.warnings);
  print(settings, format);
  return 0;
};

/** Prints the configuration with every field at its default. */
export const printDefaults = (format: ConfigFormat): number => {
  const text = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n';
  print(
    resolveSettings({ flags: new Map(), files: [{ name: 'defaults', text }], hostname: hostname() }),
    format,
  );
  return 0;
};

const lineNumberOf = (problem: string): number => Number(/:(\d+): /.exec(problem)?.[1] ?? 0);

/** Undefined where the file is valid; else its problems, in the order of its lines. */
const configurationProblems = (name: string): readonly string[] | undefined => {
  try {
    const files = [{ name, text: readFileSync(name === '-' ? 0 : name, 'utf8') }];
    const settings = resolveSettings({ flags: new Map(), files, hostname: hostname() });
    // The daemon reports these once it knows its Node.
    printWarnings([...settings.warnings, ...networkWarnings(settings)]);
    return undefined;
  } catch (error) {
    if (error instanceof InputError)
      return error.message.split('\n').toSorted((a, b) => lineNumberOf(a) - lineNumberOf(b));
    return [`${name}: ${messageOf(error)}`];
  }
};

/** Checks each file separately; problems go to standard error, one a line. Returns the exit status. */
export const validateConfig = (names: readonly string[]): number => {
  let status = 0;
  for (const name of names) {
    const problems = configurationProblems(name);
    if (problems === undefined) process.stdout.write(`${name}: valid\n`);
    else {
      status = 1;
      process.stderr.write(`${problems.join('\n')}\n`);
    }
  }
  return status;
};

/** --write-config-to: writes the configuration as a file for --config; KubeIpvsConfiguration only if it was given. */
export const writeConfig = (settings: Settings, file: string): number => {
  printWarnings(settings.warnings);
  const documents = [kubeProxyDocument(settings)];
  if (settings.kubeIpvs.kind !== '') documents.push(kubeIpvsDocument(settings));
  try {
    writeFileSync(file, yamlDocuments(documents));
  } catch (error) {
    throw new InputError(`--write-config-to=${file}: ${messageOf(error)}`);
  }
  return 0;
};
