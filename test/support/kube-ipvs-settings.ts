import { parseFlags } from '../../src/config/parse-flags.js';
import { resolveSettings, type Settings } from '../../src/config/settings.js';

/** Settings as these fields of KubeIpvsConfiguration make them, with these flags. */
export const kubeIpvsSettings = (fields: string, ...flags: readonly string[]): Settings =>
  resolveSettings({
    flags: parseFlags(['--proxy-mode=ipvs', ...flags]),
    files: [
      {
        name: 'own.yaml',
        text: `apiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\n${fields}\n`,
      },
    ],
    hostname: 'node-1',
  });
