import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// Reads the types of the admin socket's answers from their source, so that tests can hold a real answer against what is
// documented. It knows the few forms that the source uses.

const file = fileURLToPath(new URL('../../../src/admin-api/responses.ts', import.meta.url));
const tableFile = fileURLToPath(new URL('../../../src/plan/output/ipvs-table-formats.ts', import.meta.url));
const stateFile = fileURLToPath(new URL('../../../src/admin-api/real-server-state.ts', import.meta.url));
const wantedFile = fileURLToPath(new URL('../../../src/admin-api/desired-response.ts', import.meta.url));
const kernelFile = fileURLToPath(new URL('../../../src/admin-api/kernel-responses.ts', import.meta.url));
const logFile = fileURLToPath(new URL('../../../src/admin-api/log-response.ts', import.meta.url));
const causeFile = fileURLToPath(new URL('../../../src/model/change-cause.ts', import.meta.url));
const settingFile = fileURLToPath(new URL('../../../src/admin-api/service-setting.ts', import.meta.url));
const endpointFile = fileURLToPath(new URL('../../../src/admin-api/endpoint-response.ts', import.meta.url));
const weightFile = fileURLToPath(new URL('../../../src/plan/endpoints/endpoint-weight.ts', import.meta.url));
const verdictFile = fileURLToPath(
  new URL('../../../src/plan/endpoints/endpoint-selection.ts', import.meta.url),
);

/** The declaration of a type with the comment before it, to the line that ends it. */
const declarationIn = (text: string, name: string): string => {
  const at = new RegExp(`(?:/\\*\\*(?:(?!\\*/)[^])*\\*/\\n)?export (?:type|interface) ${name}\\b`).exec(text);
  const rest = text.slice(at?.index);
  const end = at?.[0].includes('export interface') === true ? /^\}/m : /;$/m;
  return rest.slice(0, rest.search(end) + 1);
};

/** The declarations, those from elsewhere last, without imports and the notes above them. */
export const responseTypesSource = (): string => {
  const text = readFileSync(file, 'utf8');
  const elsewhere = [
    ...['DriftResponse', 'SyncDaemonResponse'].map((name) => [kernelFile, name] as const),
    [wantedFile, 'DesiredResponse'] as const,
    ...['LogResponse', 'LogRecord', 'LogCount', 'LogEvent'].map((name) => [logFile, name] as const),
    [causeFile, 'ChangeCause'] as const,
    [settingFile, 'ServiceSettingResponse'] as const,
    ...['EndpointResponse', 'EndpointSelectionResponse'].map((name) => [endpointFile, name] as const),
    [weightFile, 'WeightReason'] as const,
    ...['DrainResponse', 'PaceResponse'].map((name) => [stateFile, name] as const),
    ...['UsedReason', 'UnusedReason'].map((name) => [verdictFile, name] as const),
    ...['VirtualServerJson', 'RealServerJson'].map((name) => [tableFile, name] as const),
  ];
  return [
    text.slice(text.lastIndexOf('/**', text.indexOf('export type FrontendKind'))).trim(),
    ...elsewhere.map(([from, name]) => declarationIn(readFileSync(from, 'utf8'), name)),
  ].join('\n\n');
};

const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[^]*?\*\//g, '').replaceAll(/\/\/.*$/gm, '');

const sources = (): string =>
  withoutComments(
    [
      file,
      stateFile,
      kernelFile,
      wantedFile,
      settingFile,
      logFile,
      causeFile,
      endpointFile,
      weightFile,
      tableFile,
      verdictFile,
    ]
      .map((name) => readFileSync(name, 'utf8'))
      .join('\n'),
  );

type Shape = (value: unknown, at: string) => readonly string[];

const primitive =
  (type: string): Shape =>
  (value, at) =>
    typeof value === type ? [] : [`${at}: ${JSON.stringify(value)} is no ${type}`];

/** Reads types from a text, a token at a time. */
class TypeReader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(
    text: string,
    private readonly named: (name: string) => Shape,
  ) {
    this.#tokens = text.match(/'[^']*'|[A-Za-z]\w*|\d+|[{}[\]<>|?:;,]/g) ?? [];
  }

  type(): Shape {
    const choices: Shape[] = [];
    do {
      this.#skip('|');
      choices.push(this.#one());
    } while (this.#tokens[this.#at] === '|');
    return (value, at) => {
      const problems = choices.map((choice) => choice(value, at));
      return problems.find((found) => found.length === 0) ?? problems[0] ?? [];
    };
  }

  fields(): Shape {
    const fields: { readonly name: string; readonly optional: boolean; readonly shape: Shape }[] = [];
    this.#take('{');
    while (!this.#skip('}')) {
      this.#skip('readonly');
      const name = this.#next();
      const optional = this.#skip('?');
      this.#take(':');
      fields.push({ name, optional, shape: this.type() });
      if (this.#tokens[this.#at] !== '}') this.#take(';');
    }
    return (value, at) => {
      if (typeof value !== 'object' || value === null) return [`${at}: is no object`];
      const members = value as Readonly<Record<string, unknown>>;
      return [
        ...Object.keys(members)
          .filter((name) => !fields.some((field) => field.name === name))
          .map((name) => `${at}.${name}: is not documented`),
        ...fields.flatMap(({ name, optional, shape }) => {
          if (members[name] !== undefined) return shape(members[name], `${at}.${name}`);
          return optional ? [] : [`${at}.${name}: is missing`];
        }),
      ];
    };
  }

  #one(): Shape {
    this.#skip('readonly');
    let shape = this.#tokens[this.#at] === '{' ? this.fields() : this.#word(this.#next());
    while (this.#skip('[')) {
      this.#take(']');
      shape = listOf(shape);
    }
    return shape;
  }

  #word(word: string): Shape {
    if (word.startsWith("'") || /^\d/.test(word)) {
      const literal: unknown = JSON.parse(word.replaceAll("'", '"'));
      return (value, at) => (value === literal ? [] : [`${at}: ${JSON.stringify(value)} is not ${word}`]);
    }
    if (word === 'true' || word === 'false')
      return (value, at) => (String(value) === word ? [] : [`${at}: is not ${word}`]);
    if (word === 'string' || word === 'number' || word === 'boolean') return primitive(word);
    if (word === 'VirtualServerFlag' || word === 'Forwarding') return primitive('string');
    if (word !== 'Readonly' && word !== 'Record') return this.named(word);
    this.#take('<');
    if (word === 'Record') {
      this.type();
      this.#take(',');
    }
    const inner = this.type();
    this.#take('>');
    return word === 'Record' ? recordOf(inner) : inner;
  }

  #next(): string {
    this.#at += 1;
    return this.#tokens[this.#at - 1] ?? '';
  }

  #skip(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }

  #take(token: string): void {
    const found = this.#next();
    if (found !== token)
      throw new Error(
        `${token} is wanted, not ${found}, before ${this.#tokens.slice(this.#at).slice(0, 9).join(' ')}`,
      );
  }
}

const listOf =
  (item: Shape): Shape =>
  (value, at) =>
    Array.isArray(value)
      ? value.flatMap((each, index) => item(each, `${at}[${index}]`))
      : [`${at}: is no list`];

const recordOf =
  (member: Shape): Shape =>
  (value, at) =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, each]) => member(each, `${at}[${name}]`))
      : [`${at}: is no object`];

const shapeOf = (name: string): Shape => {
  const text = sources();
  const read = (from: number): TypeReader => new TypeReader(text.slice(from), shapeOf);
  const interfaceAt = new RegExp(`interface ${name}\\b(?: extends (\\w+))?`).exec(text);
  if (interfaceAt !== null) {
    const own = read(interfaceAt.index + interfaceAt[0].length).fields();
    const parent = interfaceAt[1] === undefined ? undefined : shapeOf(interfaceAt[1]);
    if (parent === undefined) return own;
    return (value, at) => {
      // What one of both documents is documented; what one of both misses is missing.
      const problems = [own(value, at), parent(value, at)];
      const undocumented = problems.map((found) => found.filter((problem) => problem.endsWith('documented')));
      return [
        ...problems.flat().filter((problem) => !problem.endsWith('documented')),
        ...(undocumented[0] ?? []).filter((problem) => undocumented[1]?.includes(problem)),
      ];
    };
  }
  const aliasAt = new RegExp(`type ${name} =`).exec(text);
  if (aliasAt === null) throw new Error(`there is no type ${name}`);
  return read(aliasAt.index + aliasAt[0].length).type();
};

/** What is wrong with an answer by the documented type of that name; [] where nothing is. */
export const responseProblems = (name: string, answer: unknown): readonly string[] =>
  shapeOf(name)(answer, name);
