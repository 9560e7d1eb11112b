/** What follows `ipvs.kube-ipvs.dev/` in the annotations by which a Service chooses its settings. */
export const serviceAnnotationNames = [
  'scheduler',
  'flags',
  'persistence-timeout',
  'persistence-netmask',
  'upper-threshold',
  'lower-threshold',
  'on-full',
  'weight-by',
  'slow-start',
  'quarantine',
  'drain-deadline',
  'take-over-foreign',
] as const;

export type ServiceAnnotationName = (typeof serviceAnnotationNames)[number];

/** Unchecked values. An absent one leaves the choice to the configuration. */
export type ServiceAnnotations = Readonly<Partial<Record<ServiceAnnotationName, string>>>;

/** No annotation. */
export const noAnnotations: ServiceAnnotations = Object.freeze({});

/** What the names of all annotations of kube-ipvs begin with. */
export const annotationPrefix = 'ipvs.kube-ipvs.dev/';

/** `ipvs.kube-ipvs.dev/scheduler`, for example. */
export const annotationKey = <Name extends string>(name: Name): `ipvs.kube-ipvs.dev/${Name}` =>
  `${annotationPrefix}${name}`;

/** The path of an annotation in its object, for messages. */
export const annotationField = (name: string): string => `metadata.annotations[${annotationKey(name)}]`;
