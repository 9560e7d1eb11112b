/** The transport protocols that a Service port, a virtual server or an endpoint can have. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export const protocols: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
