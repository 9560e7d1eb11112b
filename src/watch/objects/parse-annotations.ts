import {
  annotationKey,
  annotationPrefix,
  noAnnotations,
  serviceAnnotationNames,
  type ServiceAnnotations,
} from '../../model/settings/service-annotations.js';
import type { ServiceShape } from './schemas.js';

type Metadata = ServiceShape['metadata'];

/** The annotations by which a Service chooses its settings, unchecked. */
export const serviceAnnotationsOf = ({ annotations }: Metadata): ServiceAnnotations => {
  if (annotations === undefined || annotations === null) return noAnnotations;
  const given = serviceAnnotationNames.flatMap((name) => {
    const value = annotations[annotationKey(name)];
    return value === undefined || value === null ? [] : [[name, value] as const];
  });
  return given.length === 0 ? noAnnotations : Object.fromEntries(given);
};

const knownKeys: ReadonlySet<string> = new Set(serviceAnnotationNames.map(annotationKey));

/** The names of the annotations of kube-ipvs that no Service has; undefined: none. */
export const unknownAnnotationsOf = ({ annotations }: Metadata): readonly string[] | undefined => {
  const unknown = Object.keys(annotations ?? {}).filter(
    (key) => key.startsWith(annotationPrefix) && !knownKeys.has(key),
  );
  return unknown.length === 0
    ? undefined
    : unknown.map((key) => key.slice(annotationPrefix.length)).toSorted();
};
