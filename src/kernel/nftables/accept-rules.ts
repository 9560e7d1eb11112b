import type { ForwardFilter } from '../../model/forward-filter.js';
import type { Expression } from '../../nftables/declarations.js';
import { attr, attributes } from '../../netlink/codec/attributes.js';
import { MessageFlag } from '../../netlink/constants.js';
import { NetlinkError } from '../../netlink/errors.js';
import { MessageShape, type Request } from '../../netlink/message.js';
import { be64, cstring } from '../../netlink/codec/scalars.js';
import { batchFrame, nfnetlinkHeader, Subsystem } from '../nfnetlink.js';
import { NftablesMessage, ownerShape, ruleShape } from './attributes.js';
import { valuesOf } from './expressions.js';
import { commentBytes, commentFrom, UserData, writeUserData } from './user-data.js';
import { withConnection, type OpenConnection } from './with-connection.js';

/** A chain of somebody else's. */
export type ForeignChain = Pick<ForwardFilter, 'family' | 'table' | 'chain'>;

/** A rule of ours in it. */
export interface AcceptRule extends ForeignChain {
  readonly handle: bigint;
}

/** By it we know our rule again. */
const comment = 'kube-ipvs: answers of pods';

/** include/uapi/linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_BIT of IP_CT_ESTABLISHED and IP_CT_RELATED */
const establishedOrRelated = 0x6;

/** `ct state established,related accept` */
const expressions: readonly Expression[] = [
  { kind: 'ct', key: 'state', to: 0 },
  { kind: 'bitwise', from: 0, to: 0, mask: establishedOrRelated, xor: 0 },
  { kind: 'compare', operator: '!=', from: 0, value: 0 },
  { kind: 'counter', packets: 0n, bytes: 0n },
  { kind: 'verdict', verdict: 'accept' },
];

const textOf = ({ family, table, chain }: ForeignChain): string =>
  `chain ${chain} of table ${family} ${table}`;

/** Without NLM_F_APPEND it becomes the first rule. */
const insertRequest = (chain: ForeignChain): Request => ({
  type: NftablesMessage.newRule,
  flags: MessageFlag.create,
  operation: () => `insert a rule into ${textOf(chain)}`,
  shape: ruleShape,
  write: (writer) =>
    ruleShape.write(
      writer,
      { family: chain.family },
      {
        table: chain.table,
        chain: chain.chain,
        expressions: expressions.map((expression) => valuesOf(expression, 'IPv4')),
        userData: writeUserData([[UserData.ruleComment, commentBytes(comment)]]),
      },
    ),
});

/** NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE */
const deletionShape = new MessageShape(
  'rule-deletion',
  nfnetlinkHeader,
  attributes('rule-deletion', { table: attr(1, cstring), chain: attr(2, cstring), handle: attr(3, be64) }),
);

const deleteRequest = ({ family, ...values }: AcceptRule): Request => ({
  type: NftablesMessage.deleteRule,
  flags: 0,
  operation: () => `delete our rule of ${textOf({ family, ...values })}`,
  shape: deletionShape,
  write: (writer) => deletionShape.write(writer, { family }, values),
});

const listRequest: Request = {
  type: NftablesMessage.getRule,
  flags: 0,
  operation: () => 'list the rules of nftables',
  shape: ownerShape,
  write: (writer) => ownerShape.write(writer, { family: 'unspecified' }, {}),
};

/** Undefined where it was done, or failed with an errno that means that it was done before; otherwise why not. */
const perform = (
  request: Request,
  ignoredErrnos: readonly string[],
  open?: OpenConnection,
): string | undefined =>
  withConnection((connection) => {
    const frame = batchFrame(Subsystem.nftables, request.operation());
    const result = connection.transaction({ ...frame, requests: [request] });
    if (result.status === 'applied') return undefined;
    if (result.status === 'unknown') return 'the kernel gave no answer';
    const { error } = result;
    return error instanceof NetlinkError && ignoredErrnos.includes(error.errno) ? undefined : error.message;
  }, open);

/** Makes a rule that accepts established and related connections the first one of the chain. Undefined where it was done; otherwise why not. */
export const insertAcceptRule = (chain: ForeignChain): string | undefined =>
  perform(insertRequest(chain), []);

/** As insertAcceptRule. A rule that is gone, perhaps with its chain, counts as deleted. */
export const deleteAcceptRule = (rule: AcceptRule, open?: OpenConnection): string | undefined =>
  perform(deleteRequest(rule), ['ENOENT'], open);

/** The rules that insertAcceptRule has made, in everybody's tables. Throws NetlinkError. */
export const acceptRules = (open?: OpenConnection): readonly AcceptRule[] =>
  withConnection(
    (connection) =>
      connection.dump(listRequest).flatMap((message): readonly AcceptRule[] => {
        const { header, attributes: rule } = ruleShape.read(message);
        const { family } = header;
        const { table, chain, handle, userData } = rule;
        if (commentFrom(userData, UserData.ruleComment) !== comment) return [];
        if (chain === undefined || handle === undefined) return [];
        return family === 'ip' || family === 'ip6' || family === 'inet'
          ? [{ family, table, chain, handle }]
          : [];
      }),
    open,
  );
