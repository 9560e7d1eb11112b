import * as z from 'zod';
import { InputError } from '../../base/errors.js';
import { isRecord } from '../../base/records.js';
import { shorten } from '../../base/text.js';
import {
  annotationKey,
  annotationPrefix,
  serviceAnnotationNames,
  type ServiceAnnotationName,
} from '../../model/settings/service-annotations.js';

// The shapes contain only the fields that we use; all others are dropped here. Go writes an absent list as null.

/** A property of messages whose decoder has checked the types of all fields. No JSON value has it. */
export const decoded: unique symbol = Symbol('decoded');
const isDecoded = (object: unknown): boolean =>
  typeof object === 'object' && object !== null && decoded in object;

const port = z.int().min(0).max(65535);
const text = z.string().nullish();
const texts = z.array(z.string()).nullish();

/** Only the restrictions on names that our code relies on: an API server has more. */
const objectName = z.string().regex(/^[^/%\s\p{C}]{1,253}$/u, 'no name of an object');

const labelsShape = z.object({
  'kubernetes.io/service-name': text,
  'service.kubernetes.io/service-proxy-name': text,
  'service.kubernetes.io/headless': text,
  'topology.kubernetes.io/zone': text,
});

const serviceAnnotations = Object.fromEntries(
  serviceAnnotationNames.map((name) => [annotationKey(name), text]),
) as Record<`ipvs.kube-ipvs.dev/${ServiceAnnotationName}`, typeof text>;

/** Others are kept: a misspelt annotation of kube-ipvs is reported. */
const annotationsShape = z.looseObject({
  ...serviceAnnotations,
  'ipvs.kube-ipvs.dev/weight': text,
  'endpoints.kubernetes.io/last-change-trigger-time': text,
});

const metadataShape = z.object({
  namespace: objectName.or(z.literal('')).nullish(),
  name: objectName,
  uid: text,
  creationTimestamp: text,
  deletionTimestamp: text,
  labels: labelsShape.nullish(),
  annotations: annotationsShape.nullish(),
});

// '' where the API reads it as an absent value. It does not for internalTrafficPolicy, addressType and an EndpointSlice's protocols.
const serviceShape = z.object({
  metadata: metadataShape,
  spec: z.object({
    type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName', '']).nullish(),
    clusterIP: text,
    clusterIPs: texts,
    ipFamilies: z.array(z.enum(['IPv4', 'IPv6'])).nullish(),
    ports: z
      .array(z.object({ name: text, protocol: text, port: port.min(1), nodePort: port.nullish() }))
      .nullish(),
    sessionAffinity: z.enum(['None', 'ClientIP', '']).nullish(),
    sessionAffinityConfig: z
      .object({
        clientIP: z.object({ timeoutSeconds: z.int().min(1).max(86_400).nullish() }).nullish(),
      })
      .nullish(),
    internalTrafficPolicy: z.enum(['Cluster', 'Local']).nullish(),
    externalTrafficPolicy: z.enum(['Cluster', 'Local', '']).nullish(),
    externalIPs: texts,
    loadBalancerSourceRanges: texts,
    healthCheckNodePort: port.nullish(),
  }),
  status: z
    .object({
      loadBalancer: z.object({ ingress: z.array(z.object({ ip: text, ipMode: text })).nullish() }).nullish(),
    })
    .nullish(),
});

const condition = z.boolean().nullish();
const hints = z.array(z.object({ name: z.string() })).nullish();

const endpointSliceShape = z.object({
  metadata: metadataShape,
  addressType: z.string(),
  ports: z.array(z.object({ name: text, protocol: text, port: port.nullish() })).nullish(),
  endpoints: z
    .array(
      z.object({
        addresses: texts,
        nodeName: text,
        zone: text,
        targetRef: z.object({ kind: text, namespace: text, name: text }).nullish(),
        conditions: z.object({ ready: condition, serving: condition, terminating: condition }).nullish(),
        hints: z.object({ forZones: hints, forNodes: hints }).nullish(),
      }),
    )
    .nullish(),
});

/** A part of a decoded message of which only the types would be checked. */
const decodedPart = <Part extends z.ZodType>(_part: Part) => z.custom<z.infer<Part>>().optional();

const { shape: metadataParts } = metadataShape;
const decodedMetadataShape = metadataShape.extend({
  uid: decodedPart(metadataParts.uid),
  creationTimestamp: decodedPart(metadataParts.creationTimestamp),
  deletionTimestamp: decodedPart(metadataParts.deletionTimestamp),
  labels: decodedPart(metadataParts.labels),
  annotations: decodedPart(metadataParts.annotations),
});

const { spec: specShape, status: serviceStatusShape } = serviceShape.shape;
const decodedServiceShape = serviceShape.extend({
  metadata: decodedMetadataShape,
  spec: specShape.extend({
    clusterIP: decodedPart(specShape.shape.clusterIP),
    clusterIPs: decodedPart(specShape.shape.clusterIPs),
    externalIPs: decodedPart(specShape.shape.externalIPs),
    loadBalancerSourceRanges: decodedPart(specShape.shape.loadBalancerSourceRanges),
  }),
  status: decodedPart(serviceStatusShape),
});

const decodedSliceShape = endpointSliceShape.extend({
  metadata: decodedMetadataShape,
  endpoints: decodedPart(endpointSliceShape.shape.endpoints),
});

const nodeShape = z.object({
  metadata: metadataShape,
  spec: z
    .object({ podCIDR: text, podCIDRs: texts, taints: z.array(z.object({ key: text })).nullish() })
    .nullish(),
  status: z
    .object({
      addresses: z.array(z.object({ type: z.string(), address: z.string() })).nullish(),
    })
    .nullish(),
});

const resourcesShape = z
  .object({ requests: z.object({ cpu: z.union([z.string(), z.number()]).nullish() }).nullish() })
  .nullish();

const containers = z.array(z.object({ restartPolicy: text, resources: resourcesShape })).nullish();

const containerState = z
  .object({
    running: z.object({}).nullish(),
    waiting: z.object({ reason: text }).nullish(),
    terminated: z.object({ reason: text }).nullish(),
  })
  .nullish();

const podShape = z.object({
  metadata: metadataShape,
  spec: z
    .object({ nodeName: text, containers, initContainers: containers, resources: resourcesShape })
    .nullish(),
  status: z
    .object({
      phase: text,
      containerStatuses: z.array(z.object({ name: z.string(), state: containerState })).nullish(),
    })
    .nullish(),
});

const identityShape = z.object({ metadata: z.object({ namespace: text, name: z.string().min(1) }) });

const eventType = z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);
const watchEventShape = z.object({ type: eventType, object: z.unknown() });

const eventAnnotationsShape = z.object({ 'k8s.io/initial-events-end': text });

const eventMetadataShape = z.object({
  metadata: z.object({ resourceVersion: text, annotations: eventAnnotationsShape.nullish() }).nullish(),
});

/** The labels and annotations that kube-ipvs uses. */
const labelNames: ReadonlySet<string> = new Set(Object.keys(labelsShape.shape));
export const isLabelName = (name: string): boolean => labelNames.has(name);
const annotationNames: ReadonlySet<string> = new Set(
  [annotationsShape, eventAnnotationsShape].flatMap(({ shape }) => Object.keys(shape)),
);
export const isAnnotationName = (name: string): boolean =>
  name.startsWith(annotationPrefix) || annotationNames.has(name);

const statusShape = z.object({
  message: text,
  reason: text,
  code: z.int().nullish(),
  details: z
    .object({
      kind: text,
      name: text,
      retryAfterSeconds: z.number().nullish(),
      causes: z.array(z.object({ reason: text, message: text })).nullish(),
    })
    .nullish(),
});

const listShape = z.object({
  metadata: z.object({ resourceVersion: z.string().min(1), continue: text }),
});

export type ServiceShape = z.infer<typeof serviceShape>;
export type EndpointSliceShape = z.infer<typeof endpointSliceShape>;
export type NodeShape = z.infer<typeof nodeShape>;
export type PodShape = z.infer<typeof podShape>;
/** One event of a watch, with an unparsed object. */
export type WatchEvent = z.infer<typeof watchEventShape>;

export type Status = z.infer<typeof statusShape>;

/** An invalid object. `field` names the first invalid field, as `spec.ports[0].port`. */
export class MalformedObject extends InputError {
  constructor(
    /** `Service`, `EndpointSlice`, … */
    readonly kind: string,
    /** `namespace/name` (the name of a Node); undefined where it cannot be read. */
    readonly object: string | undefined,
    readonly field: string,
    /** The same as a path from the object. */
    readonly path: readonly (string | number)[],
    problem: string,
  ) {
    super(
      `${kind} ${shorten(object ?? '(without a name)')}: ${field === '' ? '' : `${shorten(field)}: `}${shorten(problem)}`,
    );
  }
}

const formatPath = (path: readonly (string | number)[]): string =>
  path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');

const nameOf = (kind: string, object: unknown): string | undefined => {
  const identity = identityShape.safeParse(object);
  if (!identity.success) return undefined;
  const { namespace, name } = identity.data.metadata;
  return kind === 'Node' ? name : `${namespace || 'default'}/${name}`;
};

const reader =
  <Shape>(kind: string, shape: z.ZodType<Shape>, decodedShape = shape) =>
  (object: unknown): Shape => {
    const result = (isDecoded(object) ? decodedShape : shape).safeParse(object);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    const path = (issue?.path ?? []).map((step) => (typeof step === 'symbol' ? String(step) : step));
    throw new MalformedObject(kind, nameOf(kind, object), formatPath(path), path, issue?.message ?? '');
  };

/** Each takes a parsed JSON or YAML value, or a decoded message, and returns the fields that we use; an invalid value is a MalformedObject. */
export const readService = reader('Service', serviceShape, decodedServiceShape);
export const readEndpointSlice = reader('EndpointSlice', endpointSliceShape, decodedSliceShape);
export const readNode = reader('Node', nodeShape);
export const readPod = reader('Pod', podShape);
export const readList = reader('list', listShape);

const validateWatchEvent: (event: unknown) => WatchEvent = reader('watch event', watchEventShape);
const eventTypes: ReadonlySet<unknown> = new Set(eventType.options);
const isWatchEvent = (event: unknown): event is WatchEvent =>
  isRecord(event) && eventTypes.has(event['type']);

/**
 * An invalid event is a MalformedObject. Its object is not validated here: an invalid object does not break the stream. The schema
 * sees only what is no event, because it takes almost as long as decoding an event.
 */
export const readWatchEvent = (event: unknown): WatchEvent =>
  isWatchEvent(event) ? event : validateWatchEvent(event);

const eventMetadataOf = (object: unknown) => eventMetadataShape.safeParse(object).data?.metadata;

/** The resource version of an event's object; undefined if it has none. */
export const versionOf = (object: unknown): string | undefined =>
  eventMetadataOf(object)?.resourceVersion || undefined;

/** Whether the object of a bookmark says that all objects that existed when the watch began have come. */
export const endsInitialEvents = (object: unknown): boolean =>
  eventMetadataOf(object)?.annotations?.['k8s.io/initial-events-end'] === 'true';

/** A Status of the API server; an empty one for any other value. */
export const readStatus = (value: unknown): Status => statusShape.safeParse(value).data ?? {};
