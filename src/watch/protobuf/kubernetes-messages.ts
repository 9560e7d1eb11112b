import { decoded, isAnnotationName, isLabelName } from '../objects/schemas.js';
import {
  bool,
  entries,
  int32,
  int64,
  MessageType,
  repeated,
  single,
  text,
  type FieldType,
  type MessageReader,
} from './message.js';
import { shared } from './shared.js';

/** A text that many objects have. */
const sharedText = shared(text);

// The fields that kube-ipvs uses, by their numbers in the generated.proto files of k8s.io/api and k8s.io/apimachinery.
// Decoded messages have the structure of the JSON form, so src/watch/objects reads both.

const seconds = new MessageType({ 1: single('seconds', int64) });

/** meta/v1 Time, decoded as in JSON; undefined for the zero time. */
const time: FieldType<string | undefined> = {
  wireType: seconds.wireType,
  read: (reader: MessageReader) => {
    const value = seconds.read(reader)['seconds'];
    return typeof value === 'number' ? new Date(value * 1000).toISOString() : undefined;
  },
};

/** A key of a map, if it is used. Equal keys are decoded once. */
const keyIf = (isUsed: (key: string) => boolean): FieldType<string | undefined> =>
  shared({
    wireType: text.wireType,
    read: (reader) => {
      const key = text.read(reader);
      return isUsed(key) ? key : undefined;
    },
  });

const objectMetaFields = {
  1: single('name', text),
  3: single('namespace', sharedText),
  6: single('resourceVersion', text),
  11: entries('labels', keyIf(isLabelName)),
  12: entries('annotations', keyIf(isAnnotationName)),
};

const objectMeta = new MessageType(objectMetaFields);
const serviceMeta = new MessageType({
  ...objectMetaFields,
  5: single('uid', text),
  8: single('creationTimestamp', time),
});
const nodeMeta = new MessageType({ ...objectMetaFields, 9: single('deletionTimestamp', time) });

const servicePort = new MessageType({
  1: single('name', text),
  2: single('protocol', text),
  3: single('port', int32),
  5: single('nodePort', int32),
});

const clientIpConfig = new MessageType({ 1: single('timeoutSeconds', int32) });

const serviceSpec = new MessageType({
  1: repeated('ports', servicePort),
  3: single('clusterIP', text),
  4: single('type', text),
  5: repeated('externalIPs', text),
  7: single('sessionAffinity', text),
  9: repeated('loadBalancerSourceRanges', text),
  11: single('externalTrafficPolicy', text),
  12: single('healthCheckNodePort', int32),
  14: single('sessionAffinityConfig', new MessageType({ 1: single('clientIP', clientIpConfig) })),
  18: repeated('clusterIPs', text),
  19: repeated('ipFamilies', text),
  22: single('internalTrafficPolicy', text),
});

const ingress = new MessageType({ 1: single('ip', text), 3: single('ipMode', text) });

const service = new MessageType(
  {
    1: single('metadata', serviceMeta),
    2: single('spec', serviceSpec),
    3: single(
      'status',
      new MessageType({ 1: single('loadBalancer', new MessageType({ 1: repeated('ingress', ingress) })) }),
    ),
  },
  { [decoded]: true },
);

const conditions = new MessageType({
  1: single('ready', bool),
  2: single('serving', bool),
  3: single('terminating', bool),
});

const named = new MessageType({ 1: single('name', text) }, { name: '' });

const hints = new MessageType({ 1: repeated('forZones', named), 2: repeated('forNodes', named) });

const endpoint = new MessageType({
  1: repeated('addresses', text),
  2: single('conditions', shared(conditions)),
  4: single(
    'targetRef',
    new MessageType({
      1: single('kind', sharedText),
      2: single('namespace', sharedText),
      3: single('name', text),
    }),
  ),
  6: single('nodeName', sharedText),
  7: single('zone', sharedText),
  8: single('hints', shared(hints)),
});

const endpointSlice = new MessageType(
  {
    1: single('metadata', objectMeta),
    2: repeated('endpoints', endpoint),
    3: repeated(
      'ports',
      new MessageType({ 1: single('name', text), 2: single('protocol', text), 3: single('port', int32) }),
    ),
    4: single('addressType', text),
  },
  { [decoded]: true },
);

const nodeSpec = new MessageType({
  1: single('podCIDR', text),
  5: repeated('taints', new MessageType({ 1: single('key', text) })),
  7: repeated('podCIDRs', text),
});

const node = new MessageType({
  1: single('metadata', nodeMeta),
  2: single('spec', nodeSpec),
  3: single(
    'status',
    new MessageType({
      5: repeated('addresses', new MessageType({ 1: single('type', text), 2: single('address', text) })),
    }),
  ),
});

const quantityMessage = new MessageType({ 1: single('string', text) });

/** resource Quantity, decoded as in JSON. */
const quantity: FieldType<string> = {
  wireType: quantityMessage.wireType,
  read: (reader: MessageReader) => {
    const value = quantityMessage.read(reader)['string'];
    return typeof value === 'string' ? value : '0';
  },
};

const resources = new MessageType({
  2: entries(
    'requests',
    keyIf((key) => key === 'cpu'),
    quantity,
  ),
});

const container = new MessageType({ 8: single('resources', resources), 24: single('restartPolicy', text) });

const podSpec = new MessageType({
  2: repeated('containers', container),
  20: repeated('initContainers', container),
  40: single('resources', resources),
});

const pod = new MessageType({
  1: single('metadata', objectMeta),
  2: single('spec', podSpec),
  3: single('status', new MessageType({ 1: single('phase', text) })),
});

const statusDetails = new MessageType({
  1: single('name', text),
  3: single('kind', text),
  4: repeated('causes', new MessageType({ 1: single('reason', text) })),
  5: single('retryAfterSeconds', int32),
});

const status = new MessageType({
  3: single('message', text),
  4: single('reason', text),
  5: single('details', statusDetails),
  6: single('code', int32),
});

const messages = new Map([
  ['Service', service],
  ['EndpointSlice', endpointSlice],
  ['Node', node],
  ['Pod', pod],
  ['Status', status],
]);

/** The message of a kind; undefined for a kind that kube-ipvs does not read. */
export const messageOf = (kind: string): MessageType | undefined => messages.get(kind);

/** meta/v1 ListMeta: field 1 of each list. The items are field 2. */
export const listMeta = new MessageType({ 2: single('resourceVersion', text), 3: single('continue', text) });

/** runtime TypeMeta: field 1 of the envelope. */
export const typeMeta = new MessageType({ 2: single('kind', text) });
