import { renameSync, writeFileSync } from 'node:fs';

/** Writes a KubeIpvsConfiguration in one step, as a running daemon may read it: its fields in flow style, such as `vips: {…}`. */
export const writeKubeIpvsConfig = (file: string, ...fields: readonly string[]): void => {
  const head = ['apiVersion: kube-ipvs.dev/v1alpha1', 'kind: KubeIpvsConfiguration'];
  writeFileSync(`${file}.next`, `${[...head, ...fields].join('\n')}\n`);
  renameSync(`${file}.next`, file);
};
