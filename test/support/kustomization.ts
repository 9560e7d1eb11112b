import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';

// As much of kustomize as deploy/ uses; anything else in a kustomization.yaml is refused here.
const kustomizationShape = z.strictObject({
  apiVersion: z.literal('kustomize.config.k8s.io/v1beta1'),
  kind: z.literal('Kustomization'),
  namespace: z.string(),
  resources: z.array(z.string()),
  configMapGenerator: z.array(z.strictObject({ name: z.string(), files: z.array(z.string()) })).default([]),
  generatorOptions: z.strictObject({ disableNameSuffixHash: z.literal(true) }).optional(),
});

export const manifestShape = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

export type Manifest = z.infer<typeof manifestShape>;

export interface Kustomization {
  readonly namespace: string;
  /** The resources' objects, then the ConfigMaps that it makes. */
  readonly objects: readonly Manifest[];
}

/** Reads a folder with a kustomization.yaml. An error for a file that is not there or a field that is not known. */
export const readKustomization = (folder: string): Kustomization => {
  const text = (path: string): string => readFileSync(join(folder, path), 'utf8');
  const { namespace, resources, configMapGenerator } = kustomizationShape.parse(
    parse(text('kustomization.yaml')),
  );
  const written = resources.flatMap((path) =>
    parseAllDocuments(text(path)).map((document) => manifestShape.parse(document.toJS())),
  );
  const generated = configMapGenerator.map(({ name, files }) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace },
    data: Object.fromEntries(files.map((file) => [basename(file), text(file)])),
  }));
  return { namespace, objects: [...written, ...generated] };
};
