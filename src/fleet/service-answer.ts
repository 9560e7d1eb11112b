import type { ServiceReportResponse } from '../admin-api/responses.js';
import type { VirtualServerJson } from '../plan/output/ipvs-table-formats.js';

/** What a comparison needs of a report in `explain -o json`. */
export interface ServiceAnswer {
  readonly subject: string;
  readonly verdict: { readonly mark: string; readonly text: string };
  /** What the daemon knows; absent where it does not serve the Service. */
  readonly service?: ServiceReportResponse;
  /** What the kernel has; absent where it could not be read. */
  readonly kernel?: { readonly virtualServers: Readonly<Record<string, VirtualServerJson>> };
}

type Served = ServiceReportResponse['virtualServers'][number];

/** Where clients reach a Service, the same word on every node: node ports have other addresses on each. */
export const frontendName = ({ key, frontend }: Pick<Served, 'key' | 'frontend'>): string => {
  const [, protocol = '', address = '', port = ''] = /^(\w+) (.*):(\d+)$/.exec(key) ?? [];
  if (frontend !== 'NodePort') return key;
  return `${protocol} node port ${port}${address.startsWith('[') ? ' (IPv6)' : ''}`;
};
