import { formatYaml } from '../../base/yaml.js';
import { textResponse, type TextResponse } from './http-response.js';

/** The requested format of a debugging page: text, or an object of the group config.k8s.io. */
export type PageFormat =
  | { readonly as: 'text' }
  | { readonly as: 'object'; readonly type: 'json' | 'yaml'; readonly version: 'v1beta1' | 'v1alpha1' };

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const mediaRanges = (accept: string): readonly MediaRange[] =>
  accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const pairs = parameters.map((parameter): [string, string] => {
      const [name = '', value = ''] = parameter.split('=');
      return [name.toLowerCase(), value];
    });
    return { type: type.toLowerCase(), parameters: new Map(pairs) };
  });

const objectTypes: Readonly<Record<string, 'json' | 'yaml'>> = {
  'application/json': 'json',
  'application/yaml': 'yaml',
};

const formatOf = ({ type, parameters }: MediaRange, kind: string): PageFormat | undefined => {
  if (['text/plain', 'text/*', '*/*'].includes(type)) return { as: 'text' };
  const objectType = objectTypes[type];
  const version = parameters.get('v');
  const isRequested = parameters.get('g') === 'config.k8s.io' && parameters.get('as') === kind;
  if (objectType === undefined || !isRequested || (version !== 'v1beta1' && version !== 'v1alpha1'))
    return undefined;
  return { as: 'object', type: objectType, version };
};

/** The first format in an Accept header that a page of this kind (`Statusz`, `Flagz`) has; undefined if there is none. */
export const negotiate = (accept: string | undefined, kind: string): PageFormat | undefined =>
  accept === undefined || accept.trim() === ''
    ? { as: 'text' }
    : mediaRanges(accept)
        .map((range) => formatOf(range, kind))
        .find((format) => format !== undefined);

export interface DebuggingPage {
  readonly kind: 'Statusz' | 'Flagz';
  readonly text: string;
  /** The fields other than kind, version and name. */
  readonly fields: Readonly<Record<string, unknown>>;
}

const deprecation = (kind: string): Readonly<Record<string, string>> => ({
  Warning: `299 - "config.k8s.io/v1alpha1 ${kind} is deprecated; use config.k8s.io/v1beta1 ${kind}"`,
});

/** The page in the format of the Accept header, or status 406. */
export const debuggingResponse = (page: DebuggingPage, accept: string | undefined): TextResponse => {
  const { kind, text, fields } = page;
  const format = negotiate(accept, kind);
  if (format === undefined)
    return textResponse(
      `this page is text/plain, or application/json or application/yaml with the parameters g=config.k8s.io;v=v1beta1;as=${kind}\n`,
      406,
    );
  if (format.as === 'text') return textResponse(text);
  const { type, version } = format;
  const object = {
    kind,
    apiVersion: `config.k8s.io/${version}`,
    metadata: { name: 'kube-proxy' },
    ...fields,
  };
  const { headers } = textResponse('');
  return {
    status: 200,
    headers: {
      ...headers,
      'Content-Type': `application/${type}`,
      ...(version === 'v1alpha1' && deprecation(kind)),
    },
    body: type === 'json' ? `${JSON.stringify(object)}\n` : formatYaml(object),
  };
};
