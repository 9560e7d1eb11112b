import type { IncomingMessage } from 'node:http';
import { textAnswer, type Answer } from './answer.js';

const longestBody = 32;

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let body = '';
  request.setEncoding('utf8');
  for await (const part of request) {
    body += String(part);
    if (body.length > longestBody) break;
  }
  return body;
};

/** `/debug/flags/v`: PUT of a number sets the verbosity, in the words of kube-proxy. */
export const logLevelAnswer = async (
  request: IncomingMessage,
  setVerbosity: (verbosity: number) => void,
): Promise<Answer> => {
  if (request.method !== 'PUT') return textAnswer('unsupported http method', 406);
  const text = (await bodyOf(request)).trim();
  if (!/^\d{1,9}$/.test(text))
    return textAnswer(
      `failed set klog.logging.verbosity ${JSON.stringify(text)}: not a whole number of 0 or more`,
      400,
    );
  setVerbosity(Number(text));
  return textAnswer(`successfully set klog.logging.verbosity to ${text}`);
};
