import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

// Encodes API objects as a Kubernetes API server does. The numbers are those of the generated.proto files of k8s.io/api and
// k8s.io/apimachinery, written down apart from src/watch/protobuf so that a wrong number there is found.

type Json = Readonly<Record<string, unknown>>;

/** `text`, `int`, `bool`, `map`, `quantities`, `time`, `json`, or the name of a message; `[]`: repeated; `!`: written even where it is absent. */
type Fields = Readonly<Record<string, readonly [number: number, type: string]>>;

const messages: Readonly<Record<string, Fields>> = {
  ObjectMeta: {
    name: [1, 'text!'],
    generateName: [2, 'text!'],
    namespace: [3, 'text!'],
    selfLink: [4, 'text!'],
    uid: [5, 'text!'],
    resourceVersion: [6, 'text!'],
    generation: [7, 'int!'],
    creationTimestamp: [8, 'time!'],
    deletionTimestamp: [9, 'time'],
    deletionGracePeriodSeconds: [10, 'int'],
    labels: [11, 'map'],
    annotations: [12, 'map'],
    ownerReferences: [13, 'OwnerReference[]'],
    finalizers: [14, 'text[]'],
    managedFields: [17, 'ManagedFieldsEntry[]'],
  },
  OwnerReference: {
    kind: [1, 'text!'],
    name: [3, 'text!'],
    uid: [4, 'text!'],
    apiVersion: [5, 'text!'],
    controller: [6, 'bool'],
    blockOwnerDeletion: [7, 'bool'],
  },
  ManagedFieldsEntry: {
    manager: [1, 'text!'],
    operation: [2, 'text!'],
    apiVersion: [3, 'text!'],
    time: [4, 'time'],
    fieldsType: [6, 'text!'],
    fieldsV1: [7, 'json'],
    subresource: [8, 'text!'],
  },
  ListMeta: {
    selfLink: [1, 'text!'],
    resourceVersion: [2, 'text!'],
    continue: [3, 'text!'],
    remainingItemCount: [4, 'int'],
  },
  Service: { metadata: [1, 'ObjectMeta!'], spec: [2, 'ServiceSpec!'], status: [3, 'ServiceStatus!'] },
  ServiceSpec: {
    ports: [1, 'ServicePort[]'],
    selector: [2, 'map'],
    clusterIP: [3, 'text!'],
    type: [4, 'text!'],
    externalIPs: [5, 'text[]'],
    sessionAffinity: [7, 'text!'],
    loadBalancerIP: [8, 'text!'],
    loadBalancerSourceRanges: [9, 'text[]'],
    externalName: [10, 'text!'],
    externalTrafficPolicy: [11, 'text!'],
    healthCheckNodePort: [12, 'int!'],
    publishNotReadyAddresses: [13, 'bool!'],
    sessionAffinityConfig: [14, 'SessionAffinityConfig'],
    ipFamilyPolicy: [17, 'text'],
    clusterIPs: [18, 'text[]'],
    ipFamilies: [19, 'text[]'],
    allocateLoadBalancerNodePorts: [20, 'bool'],
    loadBalancerClass: [21, 'text'],
    internalTrafficPolicy: [22, 'text'],
    trafficDistribution: [23, 'text'],
  },
  ServicePort: {
    name: [1, 'text!'],
    protocol: [2, 'text!'],
    port: [3, 'int!'],
    targetPort: [4, 'IntOrString!'],
    nodePort: [5, 'int!'],
    appProtocol: [6, 'text'],
  },
  IntOrString: { type: [1, 'int!'], intVal: [2, 'int!'], strVal: [3, 'text!'] },
  SessionAffinityConfig: { clientIP: [1, 'ClientIPConfig'] },
  ClientIPConfig: { timeoutSeconds: [1, 'int'] },
  ServiceStatus: { loadBalancer: [1, 'LoadBalancerStatus!'], conditions: [2, 'Condition[]'] },
  LoadBalancerStatus: { ingress: [1, 'LoadBalancerIngress[]'] },
  LoadBalancerIngress: { ip: [1, 'text!'], hostname: [2, 'text!'], ipMode: [3, 'text'] },
  Condition: { type: [1, 'text!'], status: [2, 'text!'] },
  EndpointSlice: {
    metadata: [1, 'ObjectMeta!'],
    endpoints: [2, 'Endpoint[]'],
    ports: [3, 'EndpointPort[]'],
    addressType: [4, 'text!'],
  },
  Endpoint: {
    addresses: [1, 'text[]'],
    conditions: [2, 'EndpointConditions!'],
    hostname: [3, 'text'],
    targetRef: [4, 'ObjectReference'],
    deprecatedTopology: [5, 'map'],
    nodeName: [6, 'text'],
    zone: [7, 'text'],
    hints: [8, 'EndpointHints'],
  },
  EndpointConditions: { ready: [1, 'bool'], serving: [2, 'bool'], terminating: [3, 'bool'] },
  EndpointHints: { forZones: [1, 'ForName[]'], forNodes: [2, 'ForName[]'] },
  ForName: { name: [1, 'text!'] },
  EndpointPort: { name: [1, 'text'], protocol: [2, 'text'], port: [3, 'int'], appProtocol: [4, 'text'] },
  ObjectReference: {
    kind: [1, 'text!'],
    namespace: [2, 'text!'],
    name: [3, 'text!'],
    uid: [4, 'text!'],
    apiVersion: [5, 'text!'],
    resourceVersion: [6, 'text!'],
    fieldPath: [7, 'text!'],
  },
  Node: { metadata: [1, 'ObjectMeta!'], spec: [2, 'NodeSpec!'], status: [3, 'NodeStatus!'] },
  NodeSpec: {
    podCIDR: [1, 'text!'],
    externalID: [2, 'text!'],
    providerID: [3, 'text!'],
    unschedulable: [4, 'bool!'],
    taints: [5, 'Taint[]'],
    podCIDRs: [7, 'text[]'],
  },
  Taint: { key: [1, 'text!'], value: [2, 'text!'], effect: [3, 'text!'], timeAdded: [4, 'time'] },
  NodeStatus: { phase: [3, 'text!'], conditions: [4, 'Condition[]'], addresses: [5, 'NodeAddress[]'] },
  NodeAddress: { type: [1, 'text!'], address: [2, 'text!'] },
  Pod: { metadata: [1, 'ObjectMeta!'], spec: [2, 'PodSpec!'], status: [3, 'PodStatus!'] },
  PodSpec: {
    containers: [2, 'Container[]'],
    restartPolicy: [3, 'text!'],
    nodeName: [10, 'text!'],
    initContainers: [20, 'Container[]'],
    resources: [40, 'ResourceRequirements'],
  },
  Container: {
    name: [1, 'text!'],
    image: [2, 'text!'],
    env: [7, 'EnvVar[]'],
    resources: [8, 'ResourceRequirements!'],
    restartPolicy: [24, 'text'],
  },
  EnvVar: { name: [1, 'text!'], value: [2, 'text!'] },
  ResourceRequirements: { limits: [1, 'quantities'], requests: [2, 'quantities'] },
  Quantity: { string: [1, 'text!'] },
  PodStatus: { phase: [1, 'text!'], podIP: [6, 'text!'] },
  Status: {
    metadata: [1, 'ListMeta!'],
    status: [2, 'text!'],
    message: [3, 'text!'],
    reason: [4, 'text!'],
    details: [5, 'StatusDetails'],
    code: [6, 'int!'],
  },
  StatusDetails: {
    name: [1, 'text!'],
    group: [2, 'text!'],
    kind: [3, 'text!'],
    causes: [4, 'StatusCause[]'],
    retryAfterSeconds: [5, 'int!'],
    uid: [6, 'text!'],
  },
  StatusCause: { reason: [1, 'text!'], message: [2, 'text!'], field: [3, 'text!'] },
  Time: { seconds: [1, 'int!'], nanos: [2, 'int!'] },
  FieldsV1: { Raw: [1, 'text!'] },
  TypeMeta: { apiVersion: [1, 'text!'], kind: [2, 'text!'] },
};

const intOrString = (value: unknown): Json =>
  typeof value === 'string' ? { type: 1, strVal: value } : { type: 0, intVal: value ?? 0 };

const scalarWireTypes: Readonly<Record<string, WireType>> = { int: WireType.Varint, bool: WireType.Varint };

const writeValue = (writer: BinaryWriter, number: number, type: string, value: unknown): void => {
  writer.tag(number, scalarWireTypes[type] ?? WireType.LengthDelimited);
  if (type === 'text') writer.string(typeof value === 'string' ? value : '');
  else if (type === 'int') writer.int64(Number(value ?? 0));
  else if (type === 'bool') writer.bool(Boolean(value));
  else if (type === 'time') {
    const seconds = Date.parse(String(value)) / 1000;
    writer.bytes(Number.isNaN(seconds) ? new Uint8Array() : encodeMessage('Time', { seconds }));
  } else if (type === 'json') writer.bytes(encodeMessage('FieldsV1', { Raw: JSON.stringify(value) }));
  else if (type === 'IntOrString') writer.bytes(encodeMessage(type, intOrString(value)));
  else writer.bytes(encodeMessage(type, (value ?? {}) as Json));
};

const writeField = (
  writer: BinaryWriter,
  [number, type]: readonly [number, string],
  value: unknown,
): void => {
  if (type === 'map' || type === 'quantities')
    for (const [key, text] of Object.entries((value ?? {}) as Readonly<Record<string, string>>))
      writer
        .tag(number, WireType.LengthDelimited)
        .fork()
        .tag(1, WireType.LengthDelimited)
        .string(key)
        .tag(2, WireType.LengthDelimited)
        .bytes(type === 'map' ? Buffer.from(text) : encodeMessage('Quantity', { string: text }))
        .join();
  else if (type.endsWith('[]'))
    for (const item of (value ?? []) as readonly unknown[])
      writeValue(writer, number, type.slice(0, -2), item);
  else if (type.endsWith('!')) writeValue(writer, number, type.slice(0, -1), value);
  else if (value !== undefined && value !== null) writeValue(writer, number, type, value);
};

const encodeMessage = (name: string, value: Json): Uint8Array => {
  const writer = new BinaryWriter();
  for (const [field, entry] of Object.entries(messages[name] ?? {})) writeField(writer, entry, value[field]);
  return writer.finish();
};

export const protobufType = 'application/vnd.kubernetes.protobuf';

interface TypedObject {
  readonly kind: string;
  readonly apiVersion?: string;
}

const field = (number: number, bytes: Uint8Array): Buffer =>
  Buffer.from(new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish());

const typeMeta = ({ kind, apiVersion }: TypedObject): Buffer =>
  Buffer.concat([Buffer.from('k8s\0'), field(1, encodeMessage('TypeMeta', { kind, apiVersion }))]);

/** The content type and encoding in the envelope are empty. */
const envelopeEnd = Buffer.concat([field(3, new Uint8Array()), field(4, new Uint8Array())]);

/** An object in its envelope. */
export const encodeObject = (object: TypedObject): Buffer =>
  Buffer.concat([
    typeMeta(object),
    field(2, encodeMessage(object.kind, object as unknown as Json)),
    envelopeEnd,
  ]);

/** A list in parts, each of which ends with an item; then the end. */
export const encodeList = (
  list: TypedObject & { readonly metadata: object },
  items: readonly TypedObject[],
): { readonly parts: readonly Buffer[]; readonly end: Buffer } => {
  const metadata = field(1, encodeMessage('ListMeta', list.metadata as Json));
  const encoded = items.map((item) => field(2, encodeMessage(item.kind, item as unknown as Json)));
  const length = [metadata, ...encoded].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const raw = new BinaryWriter().tag(2, WireType.LengthDelimited).uint32(length).finish();
  const head = Buffer.concat([typeMeta(list), raw, metadata]);
  const [first, ...rest] = encoded;
  return first === undefined
    ? { parts: [], end: Buffer.concat([head, envelopeEnd]) }
    : { parts: [Buffer.concat([head, first]), ...rest], end: envelopeEnd };
};

/** A frame of a watch stream. */
export const encodeEvent = ({
  type,
  object,
}: {
  readonly type: string;
  readonly object: TypedObject;
}): Buffer => {
  const event = Buffer.concat([field(1, Buffer.from(type)), field(2, field(1, encodeObject(object)))]);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(event.length);
  return Buffer.concat([header, event]);
};
