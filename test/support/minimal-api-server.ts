import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface MinimalApiServerOptions {
  /** As `watch services`. */
  readonly denied?: readonly string[];
  /** Seconds by which its clock is ahead of ours. */
  readonly clockAhead?: number;
  readonly nodes?: readonly string[];
  readonly services?: readonly object[];
  /** Further objects, by their paths. */
  readonly objects?: Readonly<Record<string, object>>;
}

interface Review {
  readonly spec: { readonly resourceAttributes: { readonly verb: string; readonly resource: string } };
}

const answerTo = (path: string, body: string, options: MinimalApiServerOptions): object | undefined => {
  const { denied = [], nodes = [], services = [] } = options;
  if (path.startsWith('/version')) return { gitVersion: 'v1.36.2' };
  if (path.startsWith('/api/v1/nodes')) {
    const name = new URL(path, 'http://server').searchParams.get('fieldSelector')?.split('=').at(-1) ?? '';
    return { items: nodes.filter((node) => node === name).map((node) => ({ metadata: { name: node } })) };
  }
  if (path.startsWith('/api/v1/services')) return { items: services };
  if (!path.endsWith('/selfsubjectaccessreviews')) return options.objects?.[path];
  const { verb, resource } = (JSON.parse(body) as Review).spec.resourceAttributes;
  return { status: { allowed: !denied.includes(`${verb} ${resource}`) } };
};

/** What of an API server a look at it needs: version, access reviews, Services, Nodes and the time. */
export class MinimalApiServer implements AsyncDisposable {
  private constructor(readonly server: Server) {}

  static async start(options: MinimalApiServerOptions = {}): Promise<MinimalApiServer> {
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (piece: string) => (body += piece));
      request.on('end', () => {
        const answer = answerTo(request.url ?? '', body, options);
        const date = new Date(Date.now() + (options.clockAhead ?? 0) * 1000).toUTCString();
        response.writeHead(answer === undefined ? 404 : 200, { date, 'content-type': 'application/json' });
        response.end(JSON.stringify(answer ?? {}));
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return new MinimalApiServer(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => {
      this.server.close(resolve);
    });
    this.server.closeAllConnections();
    await closed;
  }
}
