import type { IncomingMessage } from 'node:http';
import { textResponse, type HttpResponse } from './http-response.js';

const maximumBodyLength = 32;

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let body = '';
  request.setEncoding('utf8');
  for await (const part of request) {
    body += String(part);
    if (body.length > maximumBodyLength) break;
  }
  return body;
};

/** `/debug/flags/v`: PUT of a number sets the verbosity; the texts are those of kube-proxy. */
export const logLevelResponse = async (
  request: IncomingMessage,
  setVerbosity: (verbosity: number) => void,
): Promise<HttpResponse> => {
  if (request.method !== 'PUT') return textResponse('unsupported http method', 406);
  const text = (await bodyOf(request)).trim();
  if (!/^\d{1,9}$/.test(text))
    return textResponse(
      `failed set klog.logging.verbosity ${JSON.stringify(text)}: not a whole number of 0 or more`,
      400,
    );
  setVerbosity(Number(text));
  return textResponse(`successfully set klog.logging.verbosity to ${text}`);
};
