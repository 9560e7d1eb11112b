import type { Quarantine } from '../../apply/pace/pacer.js';
import { formatDuration } from '../../base/duration.js';
import type { ServiceKey } from '../../model/service.js';
import { problemEvent } from './problem-events.js';
import type { RecordedEvent } from './event-recorder.js';

/** The event about a quarantine, of the Service; `uid` is that of the Service. */
export const quarantineEvent = (
  { virtualServer, realServer, milliseconds }: Quarantine,
  service: ServiceKey,
  uid: string | undefined,
): RecordedEvent =>
  problemEvent(
    {
      service,
      reason: 'EndpointQuarantined',
      message: `${service}: ${realServer} got connections to ${virtualServer} and did not answer, while other endpoints did; it gets no new connections for ${formatDuration(milliseconds)}`,
    },
    uid,
  );
