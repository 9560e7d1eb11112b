import type { LookupMatch, StatusResponse } from '../../admin-api/responses.js';

// Daemons before `matched` and `source.manifests` were added say the same in prose only. This file alone reads it.

const endpointReason = /^(pod|endpoint) (.*)$/;
const virtualServerReason = / (TCP|UDP|SCTP) /;

/** The match with the fields that an older daemon leaves out. */
export const completeMatch = (match: LookupMatch): LookupMatch => {
  if (match.matched !== undefined) return match;
  const { because } = match;
  const [, kind, endpoint] = endpointReason.exec(because) ?? [];
  if (endpoint !== undefined) return { ...match, matched: kind === 'pod' ? 'pod' : 'endpoint', endpoint };
  if (because.startsWith('Service ')) return { ...match, matched: 'service' };
  if (because.startsWith('node port ')) return { ...match, matched: 'node-port' };
  const [, protocol] = virtualServerReason.exec(because) ?? [];
  if (protocol === undefined) return { ...match, matched: 'address' };
  return { ...match, matched: 'virtual-server', protocol: protocol as NonNullable<LookupMatch['protocol']> };
};

/** The source with the path that an older daemon has in its name only. */
export const completeSource = (source: StatusResponse['source']): StatusResponse['source'] => {
  const manifests = source.manifests ?? /^manifests (.*)$/s.exec(source.name)?.[1];
  return manifests === undefined ? source : { ...source, manifests };
};
