import { LineCounter, isScalar, parseAllDocuments, stringify, visit, type Document } from 'yaml';
import { InputError, messageOf } from './errors.js';

/** Steps from the root of a document to a value in it. */
export type DocumentPath = readonly (string | number)[];

/** One document of a YAML or JSON text. */
export interface YamlDocument {
  /** Plain objects, arrays and scalars; null for an empty document. */
  readonly value: unknown;
  /** The 1-based line, in the whole text, of the value at the path, or of the nearest value around it that is there. */
  line(path: DocumentPath): number;
  /** Keys that stand twice in one mapping; the last one counts. */
  duplicateKeys(): readonly { readonly key: string; readonly line: number }[];
}

const startOf = (node: unknown): number | undefined => {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined;
  return Array.isArray(node.range) && typeof node.range[0] === 'number' ? node.range[0] : undefined;
};

const lineOf = (document: Document, lines: LineCounter, path: DocumentPath): number => {
  for (let depth = path.length; depth >= 0; depth -= 1) {
    const node: unknown = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    const start = startOf(node);
    if (start !== undefined) return lines.linePos(start).line;
  }
  return 1;
};

const duplicatesOf = (document: Document, lines: LineCounter) => {
  const found: { key: string; line: number }[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value))
          found.push({ key: String(key.value), line: lines.linePos(startOf(key) ?? 0).line });
        seen.add(key.value);
      }
    },
  });
  return found;
};

const fromYaml = (text: string): readonly YamlDocument[] => {
  const lines = new LineCounter();
  const documents = [...parseAllDocuments(text, { uniqueKeys: false, merge: true, lineCounter: lines })];
  const wrong = documents.flatMap((document) => document.errors)[0];
  if (wrong !== undefined) {
    const [reason = wrong.code] = wrong.message.split(/ at line \d+|:?\n/);
    throw new InputError(`line ${lines.linePos(wrong.pos[0]).line}: ${reason}`);
  }
  return documents.map((document) => {
    try {
      return {
        value: document.toJS() as unknown,
        line: (path: DocumentPath) => lineOf(document, lines, path),
        duplicateKeys: () => duplicatesOf(document, lines),
      };
    } catch (error) {
      throw new InputError(`line ${lineOf(document, lines, [])}: ${messageOf(error)}`, { cause: error });
    }
  });
};

// JSON.parse is many times faster than a YAML parser; positions are worked out only when someone asks for them.
const fromJson = (text: string): readonly YamlDocument[] | undefined => {
  if (!/^\s*[{[]/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  let positions: YamlDocument | undefined;
  const positioned = (): YamlDocument | undefined => (positions ??= fromYaml(text)[0]);
  return [
    {
      value,
      line: (path) => positioned()?.line(path) ?? 1,
      duplicateKeys: () => positioned()?.duplicateKeys() ?? [],
    },
  ];
};

/** Reads every document of a YAML (1.2) or JSON text. A text that is neither is an InputError that names the line. */
export const parseYaml = (text: string): readonly YamlDocument[] => fromJson(text) ?? fromYaml(text);

/** One YAML document with a final line break; keys in the order of the value. */
export const formatYaml = (value: unknown): string =>
  stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
