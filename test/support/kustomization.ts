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
  configMapGenerator: z.array(
    z.strictObject({
      name: z.string(),
      files: z.array(z.string()),
      options: z.strictObject({ labels: z.record(z.string(), z.string()) }).optional(),
    }),
  ),
  generatorOptions: z.strictObject({ disableNameSuffixHash: z.literal(true) }),
  images: z.array(z.strictObject({ name: z.string(), newTag: z.string() })).optional(),
});

const manifestShape = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

export type Manifest = z.infer<typeof manifestShape>;

export interface Kustomization {
  readonly namespace: string;
  readonly images: readonly { readonly name: string; readonly newTag: string }[];
  /** The resources' objects, then the ConfigMaps that it makes. */
  readonly objects: readonly Manifest[];
}

/** Reads a folder with a kustomization.yaml. An error for a file that is not there or a field that is not known. */
export const readKustomization = (folder: string): Kustomization => {
  const text = (path: string): string => readFileSync(join(folder, path), 'utf8');
  const {
    namespace,
    resources,
    configMapGenerator,
    images = [],
  } = kustomizationShape.parse(parse(text('kustomization.yaml')));
  const written = resources.flatMap((path) =>
    parseAllDocuments(text(path)).map((document) => manifestShape.parse(document.toJS())),
  );
  const generated = configMapGenerator.map(({ name, files, options }) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, ...options },
    data: Object.fromEntries(
      files.map((file) => {
        const [key, path = file] = file.includes('=') ? file.split('=') : [basename(file)];
        return [key, text(path)];
      }),
    ),
  }));
  return { namespace, images, objects: [...written, ...generated] };
};
