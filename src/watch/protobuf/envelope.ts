import {
  MalformedMessage,
  MessageType,
  single,
  text,
  type FieldType,
  type MessageReader,
} from './message.js';
import { messageOf, typeMeta } from './kubernetes-messages.js';

/** The bytes before each encoded object. Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf. */
export const magic = Buffer.from('k8s\0');

/** The fields of runtime.Unknown, which wraps each encoded object. */
export const EnvelopeField = { typeMeta: 1, raw: 2 } as const;

export const checkMagic = (bytes: Buffer, offset: number): void => {
  if (bytes.compare(magic, 0, magic.length, offset, offset + magic.length) !== 0)
    throw new MalformedMessage('not a protobuf object of the Kubernetes API: it does not begin with "k8s"');
};

/** Decodes the object whose bytes, after the magic number, reach from the reader's position to `end`. */
const decodeEnvelope = (reader: MessageReader, end: number): unknown => {
  let kind = '';
  let object: unknown;
  while (reader.pos < end) {
    const tag = reader.uint32();
    const field = tag >>> 3;
    if (field === EnvelopeField.typeMeta) kind = String(typeMeta.read(reader)['kind']);
    else if (field === EnvelopeField.raw) object = knownMessage(kind).read(reader);
    else reader.skipValue(tag);
  }
  if (object === undefined || reader.pos !== end) throw new MalformedMessage('an incomplete object');
  return object;
};

export const knownMessage = (kind: string): MessageType => {
  const message = messageOf(kind);
  if (message === undefined) throw new MalformedMessage(`unexpected kind ${JSON.stringify(kind)}`);
  return message;
};

/** An encoded object, such as the body of a response or the object of a watch event. */
export const encodedObject: FieldType = {
  wireType: text.wireType,
  read: (reader) => readObject(reader, reader.valueEnd()),
};

/** Decodes the encoded object that ends at `end`. Throws MalformedMessage or an Error of the library. */
export const readObject = (reader: MessageReader, end: number): unknown => {
  checkMagic(reader.buffer, reader.pos);
  reader.pos += magic.length;
  return decodeEnvelope(reader, end);
};

const rawExtension = new MessageType({ 1: single('raw', encodedObject) });

/** meta/v1 WatchEvent. Its object is in `object.raw`. */
export const watchEvent = new MessageType({ 1: single('type', text), 2: single('object', rawExtension) });
