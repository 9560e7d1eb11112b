import type { ServiceKey } from '../../model/service.js';
import type { EventRecorder, RecordedEvent } from './event-recorder.js';

/** An event and its last occurrence, milliseconds since 1970. */
export interface RecentEvent {
  readonly at: number;
  readonly event: RecordedEvent;
}

const capacity = 500;

const idOf = ({ regarding, reason, note }: RecordedEvent): string =>
  [regarding.kind, regarding.namespace, regarding.name, reason, note].join('\n');

/** Passes events on and remembers the last ones, each repeated one once. */
export class RecentEvents implements EventRecorder {
  /** The oldest first. */
  readonly #events = new Map<string, RecentEvent>();

  constructor(private readonly next: EventRecorder) {}

  record(event: RecordedEvent): void {
    this.next.record(event);
    const id = idOf(event);
    this.#events.delete(id);
    this.#events.set(id, { at: Date.now(), event });
    const [oldest] = this.#events.keys();
    if (this.#events.size > capacity && oldest !== undefined) this.#events.delete(oldest);
  }

  /** The events about the Service, the latest first. */
  of(service: ServiceKey): readonly RecentEvent[] {
    return [...this.#events.values()]
      .filter(
        ({ event: { regarding } }) =>
          regarding.kind === 'Service' && `${regarding.namespace}/${regarding.name}` === service,
      )
      .toReversed();
  }
}
