/** What follows `ipvs.kube-ipvs.dev/` in the annotations by which a Service chooses its settings. */
export const serviceAnnotationNames = ['scheduler', 'drain-deadline', 'slow-start', 'quarantine'] as const;

export type ServiceAnnotationName = (typeof serviceAnnotationNames)[number];

/** Unchecked values. An absent one leaves the choice to the configuration. */
export type ServiceAnnotations = Readonly<Partial<Record<ServiceAnnotationName, string>>>;

/** `ipvs.kube-ipvs.dev/scheduler`, for example. */
export const annotationKey = <Name extends string>(name: Name): `ipvs.kube-ipvs.dev/${Name}` =>
  `ipvs.kube-ipvs.dev/${name}`;

/** The path of an annotation in its object, for messages. */
export const annotationField = (name: string): string => `metadata.annotations[${annotationKey(name)}]`;
