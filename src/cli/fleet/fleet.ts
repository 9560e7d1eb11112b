import { BaseError, InputError, messageOf } from '../../base/errors.js';
import { formatCount, printable } from '../../base/text.js';
import { abbreviatedList } from '../../doctor/check-result.js';
import { fleetMembers, type DaemonTarget, type FleetMembers } from '../../fleet/daemon-pods.js';
import { NodeGroups, type NodeAnswer } from '../../fleet/node-groups.js';
import { ApiError } from '../../watch/api/api-client.js';
import { printDiagnostic } from '../output/standard-output.js';
import { Cluster, daemonContainer } from './cluster.js';
import type { FleetOptions } from './fleet-options.js';
import { Progress } from './progress.js';

/** Why a node did not answer. */
export const unansweredReason = (
  error: unknown,
  { namespace, timeoutMilliseconds }: FleetOptions,
): string => {
  if (error instanceof ApiError && error.status === 403)
    return `the API server forbids pods/exec in namespace ${namespace}; docs/fleet.md shows the Role that allows it`;
  if (error instanceof Error && error.name === 'TimeoutError')
    return `no answer within ${timeoutMilliseconds / 1_000} s`;
  return messageOf(error);
};

/** Undefined where all nodes are meant and the user may not list them: then the pods name the nodes. */
const selectedNodes = async (
  cluster: Cluster,
  selector: string | undefined,
): Promise<readonly string[] | undefined> => {
  try {
    return await cluster.nodes(selector);
  } catch (error) {
    if (selector === undefined && error instanceof ApiError && error.status === 403) return undefined;
    throw error;
  }
};

/** A command that every node runs. */
export interface Question<Answer> {
  /** The words after `kube-ipvs`. */
  readonly command: readonly string[];
  /** Reads standard output. An error says why the node did not answer. */
  readonly parse: (stdout: string, exitCode: number) => Answer;
  /** Reads standard error of a command that printed nothing else; undefined: it is no answer. */
  readonly parseRefusal?: (stderr: string) => Answer | undefined;
  /** Only these nodes. */
  readonly only?: readonly string[] | undefined;
}

/** The daemons of the selected nodes. */
export class Fleet implements Disposable {
  private constructor(
    readonly options: FleetOptions,
    readonly cluster: Cluster,
    readonly members: FleetMembers,
  ) {}

  /** Finds the daemons. Throws if the API server cannot be asked, or no node is found. */
  static async find(options: FleetOptions): Promise<Fleet> {
    const cluster = Cluster.open(options);
    const { namespace, podSelector, selector, node } = options;
    const [pods, nodes] = await Promise.all([
      cluster.daemonPods(namespace, podSelector),
      node.length > 0 && selector === undefined ? node : selectedNodes(cluster, selector),
    ]);
    if (pods.length === 0)
      throw new InputError(
        `no pod with the labels ${podSelector} in namespace ${namespace}. Name the namespace of kube-ipvs with -n.`,
      );
    const selected = node.length === 0 ? nodes : nodes?.filter((name) => node.includes(name));
    if (selected?.length === 0) throw new InputError('no node is selected by -l and --node');
    return new Fleet(options, cluster, fleetMembers(pods, selected));
  }

  /** Nodes that cannot be asked, and named ones without a daemon. */
  get unreachable(): readonly { readonly node: string; readonly reason: string }[] {
    const { unreachable, withoutPod } = this.members;
    if (this.options.node.length === 0) return unreachable;
    return [...unreachable, ...withoutPod.map((node) => ({ node, reason: 'no kube-ipvs pod' }))];
  }

  /** Runs a command on each node; `onAnswer` gets the answers in the order in which they come. */
  async ask<Answer>(
    question: Question<Answer>,
    onAnswer: (answer: NodeAnswer<Answer>) => void,
  ): Promise<void> {
    const { only } = question;
    const isAsked = ({ node }: { readonly node: string }): boolean =>
      only === undefined || only.includes(node);
    for (const answer of this.unreachable.filter(isAsked)) onAnswer(answer);
    const waiting = this.members.targets.filter(isAsked);
    using progress = new Progress(waiting.length);
    const worker = async (): Promise<void> => {
      for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
        const answer = await this.#askNode(target, question);
        try {
          onAnswer(answer);
        } catch (error) {
          // Nodes are not trusted to answer what this program expects.
          onAnswer({ node: target.node, reason: `the answer is not usable: ${messageOf(error)}` });
        }
        progress.step();
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.options.parallel, waiting.length) }, worker));
  }

  [Symbol.dispose](): void {
    this.cluster[Symbol.dispose]();
  }

  async #askNode<Answer>(
    { node, pod }: DaemonTarget,
    { command, parse, parseRefusal }: Question<Answer>,
  ): Promise<NodeAnswer<Answer>> {
    const { namespace, timeoutMilliseconds } = this.options;
    try {
      const { stdout, stderr, exitCode } = await this.cluster.exec.run(
        { namespace, pod, container: daemonContainer, command: ['kube-ipvs', ...command] },
        { signal: AbortSignal.timeout(timeoutMilliseconds) },
      );
      // A command that found trouble, too, ends with another status than 0.
      const answer = stdout === '' ? parseRefusal?.(stderr) : parse(stdout, exitCode);
      return answer === undefined ? { node, reason: refusalText(stderr, exitCode) } : { node, answer };
    } catch (error) {
      return { node, reason: unansweredReason(error, this.options) };
    }
  }
}

const refusalText = (stderr: string, exitCode: number): string => {
  const text = stderr
    .trim()
    .replace(/^kube-ipvs: /, '')
    .replaceAll(/\s*\n\s*/g, ' ');
  return text === '' ? `kube-ipvs ended with status ${exitCode} and printed nothing` : text;
};

/** A JSON answer of a field that this program needs; a daemon of another version may print another one. */
export const jsonAnswer =
  <Answer>(field: keyof Answer & string) =>
  (stdout: string): Answer => {
    let value: unknown;
    try {
      value = JSON.parse(stdout);
    } catch {
      throw new BaseError('kube-ipvs printed no JSON: has it another version?');
    }
    if (typeof value === 'object' && value !== null && field in value) return value as Answer;
    throw new BaseError(`the answer has no field ${field}: has kube-ipvs there another version?`);
  };

/** Nodes without an answer, by reason; for standard error. */
export const printUnanswered = (
  unanswered: readonly { readonly node: string; readonly reason: string }[],
  asked: number,
): void => {
  if (unanswered.length === 0) return;
  const groups = new NodeGroups<string>();
  for (const { node, reason } of unanswered) groups.add(node, reason, () => reason);
  printDiagnostic(`${unanswered.length} of ${formatCount(asked, 'node')} did not answer:`);
  for (const { nodes, content } of groups.all())
    process.stderr.write(`  ${printable(`${abbreviatedList(nodes)}: ${content}`)}\n`);
};

/** For people: selected nodes without kube-ipvs are not an error. */
export const printWithoutPod = ({ options, members: { withoutPod } }: Fleet): void => {
  if (withoutPod.length === 0 || options.node.length > 0) return;
  printDiagnostic(
    `${formatCount(withoutPod.length, 'node')} without a kube-ipvs pod: ${abbreviatedList(withoutPod)}`,
  );
};
