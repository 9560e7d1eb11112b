// The Helm chart as `helm package` packs it, except that times and owners do not depend on the machine.
import { join } from 'node:path';
import { archiveOf, filesBelow } from './archive.mjs';

export const chartPackage = (root) => archiveOf(filesBelow(join(root, 'deploy/chart'), 'kube-ipvs'));
