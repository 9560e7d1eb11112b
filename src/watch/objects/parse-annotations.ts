import {
  annotationKey,
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
