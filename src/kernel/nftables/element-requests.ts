import type { SetDeclaration, SetElement } from '../../nftables/declarations.js';
import { registerBytesOf } from '../../nftables/register-value.js';
import { align, MessageFlag } from '../../netlink/constants.js';
import type { BodyShape, Message, Request } from '../../netlink/message.js';
import { netfilterFamilies } from '../nfnetlink.js';
import { elementsShape, NftablesMessage } from './attributes.js';
import type { ElementsChange } from './changes.js';
import { nftablesRequest } from './nftables-request.js';
import { formatTable } from './object-ids.js';
import { keyBytes, keyLength, markLength } from './set-keys.js';
import { commentBytes, UserData, writeUserData } from './user-data.js';

/** A list of elements is one attribute, which has at most 65,535 bytes. */
const maxListBytes = 60_000;

/** Headers of list item, key and its value; of data, verdict, its code and its chain; of user data and the comment in it. */
const elementBytes = (keyBytesOfSet: number, { chain, mark, comment }: SetElement): number =>
  12 +
  align(keyBytesOfSet) +
  (chain === undefined ? 0 : 20 + align(3 * chain.length + 1)) +
  (mark === undefined ? 0 : 8 + markLength) +
  (comment === undefined ? 0 : 4 + align(3 * comment.length + 3));

const formatElement = ({ fields }: SetElement): string => fields.join(' . ');

const describeElements = (elements: readonly SetElement[]): string => {
  const [first, last] = [elements.at(0), elements.at(-1)];
  if (first === undefined || last === undefined) return 'no elements';
  return elements.length === 1
    ? `element ${formatElement(first)}`
    : `${elements.length} elements ${formatElement(first)} to ${formatElement(last)}`;
};

const dataOf = ({ verdicts, marks }: SetDeclaration, { chain, mark }: SetElement) => {
  if (marks === true && mark !== undefined) return { data: { value: registerBytesOf(mark) } };
  return verdicts && chain !== undefined ? { data: { verdict: { code: 'goto' as const, chain } } } : {};
};

const changeElements = (
  { kind, family, table, set }: ElementsChange,
  elements: readonly SetElement[],
): Request => {
  const adding = kind === 'add-elements';
  const [verb, preposition] = adding ? ['add', 'to'] : ['delete', 'from'];
  const id = { family: netfilterFamilies[family], table };
  const request = nftablesRequest(elementsShape, {
    type: adding ? NftablesMessage.newElements : NftablesMessage.deleteElements,
    flags: adding ? MessageFlag.create : 0,
    family: id.family,
    operation: () =>
      `${verb} ${describeElements(elements)} ${preposition} set ${set.name} of ${formatTable(id)}`,
    values: () => ({
      table,
      set: set.name,
      elements: elements.map((element) => ({
        key: { value: keyBytes(set.key, element.fields, family) },
        ...(adding ? dataOf(set, element) : {}),
        ...(adding && element.comment !== undefined
          ? { userData: writeUserData([[UserData.elementComment, commentBytes(element.comment)]]) }
          : {}),
      })),
    }),
  });
  return { ...request, shape: withElementPaths(request.shape, elements) };
};

/** Newer kernels point at an element of the list; an error names it by its fields instead of its index. */
const withElementPaths = (shape: BodyShape, elements: readonly SetElement[]): BodyShape => ({
  name: shape.name,
  describe: (message: Message) => shape.describe(message),
  pathAt: (message, offsetFromHeader) => {
    const path = shape.pathAt(message, offsetFromHeader);
    const element = elements[Number(/^elements\.(\d+)/.exec(path ?? '')?.[1] ?? Number.NaN)];
    return element === undefined ? path : `element ${formatElement(element)}`;
  },
});

/** The messages that add or delete the elements, each with as many as fit. */
export const elementRequests = (change: ElementsChange): readonly Request[] => {
  const keyBytesOfSet = keyLength(change.set.key, change.family);
  const requests: Request[] = [];
  let begin = 0;
  let bytes = 0;
  for (const [index, element] of change.elements.entries()) {
    const more = elementBytes(keyBytesOfSet, element);
    if (bytes + more > maxListBytes) {
      requests.push(changeElements(change, change.elements.slice(begin, index)));
      begin = index;
      bytes = 0;
    }
    bytes += more;
  }
  if (begin < change.elements.length) requests.push(changeElements(change, change.elements.slice(begin)));
  return requests;
};
