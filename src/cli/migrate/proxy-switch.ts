import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { BaseError } from '../../base/errors.js';
import { UsageError } from '../../config/parse-flags.js';

/** Stops one proxy of this node and starts the other. A call returns before that is complete. */
export interface ProxySwitch {
  /** Past-tense clauses for the report. */
  readonly done: { readonly toKubeIpvs: string; readonly toKubeProxy: string };
  /** Rejects if `toKubeIpvs` would be refused. Changes nothing. */
  rehearse(): Promise<void>;
  /** `stopped` waits until kube-proxy has ended. */
  toKubeIpvs(stopped: () => Promise<void>): Promise<void>;
  /** `stopped` waits until kube-ipvs has ended. */
  toKubeProxy(stopped: () => Promise<void>): Promise<void>;
}

/** Runs a command of the operator. Its output goes to standard error. */
const runCommand = async (command: string): Promise<void> => {
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 2, 2] });
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (status !== 0)
    throw new BaseError(
      `the command "${command}" ended with ${signal === null ? `status ${status}` : `signal ${signal}`}`,
    );
};

const commandSwitch = (toKubeIpvs: string, toKubeProxy: string): ProxySwitch => ({
  done: { toKubeIpvs: `ran: ${toKubeIpvs}`, toKubeProxy: `ran: ${toKubeProxy}` },
  rehearse: async () => {},
  toKubeIpvs: () => runCommand(toKubeIpvs),
  toKubeProxy: () => runCommand(toKubeProxy),
});

/** The label of the Node: kube-proxy runs where it does not exist, kube-ipvs where it has the value `kubeIpvs`. */
export const proxyLabel = {
  key: 'kube-ipvs.dev/service-proxy',
  kubeIpvs: 'kube-ipvs',
  /** Neither: the two proxies never run at the same time. */
  neither: 'changing',
} as const;

/** Sets the label of this Node; undefined removes it. `dryRun`: the API server checks the change and does not store it. */
export type LabelNode = (value: string | undefined, options?: { readonly dryRun: boolean }) => Promise<void>;

const labelSwitch = (node: string, label: LabelNode): ProxySwitch => ({
  done: {
    toKubeIpvs: `set the label ${proxyLabel.key}=${proxyLabel.kubeIpvs} of Node ${node}`,
    toKubeProxy: `removed the label ${proxyLabel.key} of Node ${node}`,
  },
  rehearse: () => label(proxyLabel.neither, { dryRun: true }),
  toKubeIpvs: async (stopped) => {
    await label(proxyLabel.neither);
    await stopped();
    await label(proxyLabel.kubeIpvs);
  },
  toKubeProxy: async (stopped) => {
    await label(proxyLabel.neither);
    await stopped();
    await label(undefined);
  },
});

export interface SwitchOptions {
  readonly toKubeIpvs: string | undefined;
  readonly toKubeProxy: string | undefined;
}

/** By the operator's commands, or by the label. Throws a UsageError if one of two commands is missing. */
export const proxySwitch = (
  { toKubeIpvs, toKubeProxy }: SwitchOptions,
  node: string,
  label: LabelNode,
): ProxySwitch => {
  if (toKubeIpvs === undefined && toKubeProxy === undefined) return labelSwitch(node, label);
  if (toKubeIpvs === undefined || toKubeProxy === undefined)
    throw new UsageError(
      `--to-kube-ipvs and --to-kube-proxy belong together: the second undoes the first if a request fails`,
    );
  return commandSwitch(toKubeIpvs, toKubeProxy);
};
