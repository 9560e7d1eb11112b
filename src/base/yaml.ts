import { LineCounter, isScalar, parseAllDocuments, visit, type Document } from 'yaml';
import { InputError, messageOf } from './errors.js';

/** Steps from the root of a document to a value in it. */
export type DocumentPath = readonly (string | number)[];

/** One document of a YAML or JSON text. */
export interface YamlDocument {
  /** Plain objects, arrays and scalars; null for an empty document. */
  readonly value: unknown;
  /** The 1-based line of the value at the path within the whole text, or of the nearest enclosing value that exists. */
  line(path: DocumentPath): number;
  /** Keys that occur twice in one mapping; the last one counts. */
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
  const syntaxError = documents.flatMap((document) => document.errors)[0];
  if (syntaxError !== undefined) {
    const [reason = syntaxError.code] = syntaxError.message.split(/ at line \d+|:?\n/);
    throw new InputError(`line ${lines.linePos(syntaxError.pos[0]).line}: ${reason}`);
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

// JSON.parse is many times faster than a YAML parser; positions are computed only on demand.
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

/** Reads every document of a YAML (1.2) or JSON text. Invalid text is an InputError that names the line. */
export const parseYaml = (text: string): readonly YamlDocument[] => fromJson(text) ?? fromYaml(text);

/** Text that every YAML version reads as a string without quotes. */
const unquotedScalar = /^[\w/.][\w./ -]*(?:[:=][\w./-]+)*$/;
/** Words that some YAML version reads as another type, and text that looks like a number, a time or a date. */
const ambiguousScalar =
  /^(?:~|null|true|false|yes|no|on|off|y|n|[-+.]?(?:inf|nan)|0[xob][\da-f_]*|[-+]?[\d_]*\.?[\d_]*(?:e[-+]?\d+)?|\d+(?::\d+)+(?:\.\d*)?|\d{4}-\d.*|\.+)$/i;

const quoteIfNeeded = (text: string): string =>
  unquotedScalar.test(text) && !text.endsWith(' ') && !ambiguousScalar.test(text)
    ? text
    : JSON.stringify(text);

const isEmpty = (value: object): boolean => (Array.isArray(value) ? value : Object.keys(value)).length === 0;

const scalarOf = (value: unknown): string | undefined => {
  if (typeof value === 'string') return quoteIfNeeded(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (!isEmpty(value)) return undefined;
  return Array.isArray(value) ? '[]' : '{}';
};

/** The value after a key on the same line, or on the following lines. */
const addValue = (value: unknown, indent: string, lines: string[], prefix: string): void => {
  const scalar = scalarOf(value);
  if (scalar !== undefined) lines.push(`${prefix} ${scalar}`);
  else {
    lines.push(prefix);
    addLines(value as object, indent, lines);
  }
};

const addLines = (value: object, indent: string, lines: string[]): void => {
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[]) {
      const from = lines.length;
      const scalar = scalarOf(item);
      if (scalar === undefined) addLines(item as object, `${indent}  `, lines);
      else lines.push(`${indent}  ${scalar}`);
      lines[from] = `${indent}- ${(lines[from] ?? '').slice(indent.length + 2)}`;
    }
    return;
  }
  for (const [key, inner] of Object.entries(value))
    if (inner !== undefined) addValue(inner, `${indent}  `, lines, `${indent}${quoteIfNeeded(key)}:`);
};

/** A JSON value as one YAML document with a final line break; keys keep their order. */
export const formatYaml = (value: unknown): string => {
  const lines: string[] = [];
  const scalar = scalarOf(value);
  if (scalar === undefined) addLines(value as object, '', lines);
  else lines.push(scalar);
  return `${lines.join('\n')}\n`;
};
