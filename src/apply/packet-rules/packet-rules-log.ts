import type { Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';

/**
 * Why the rules of a family were declared: for the first time, after a change of the desired rules, or after
 * a change by another program.
 */
export type DeclarationCause = 'first' | 'changed' | 'repaired';

/** Writes the log lines of the packet rules. */
export class PacketRulesLog {
  constructor(
    private readonly log: Logger,
    private readonly table: string,
  ) {}

  notInForce(family: Family, problem: string): void {
    this.log.error(
      { event: 'packet-rules-not-in-force', table: this.table, family, problem },
      'Packet rules not in force: no masquerading, source ranges or traffic policies; retrying',
    );
  }

  unreadable(family: Family, problem: string): void {
    this.log.error(
      { event: 'packet-rules-unreadable', table: this.table, family, problem },
      'Packet rules unreadable; left unchanged; retrying',
    );
  }

  inForce(family: Family): void {
    this.log.info(
      { event: 'packet-rules-in-force', table: this.table, family },
      'Packet rules in force again',
    );
  }

  declared(family: Family, cause: DeclarationCause): void {
    const fields = { table: this.table, family };
    if (cause === 'repaired')
      this.log.warn(
        { event: 'packet-rules-repaired', ...fields },
        'Packet rules changed by another program; declared again',
      );
    else if (cause === 'first')
      this.log.info({ event: 'packet-rules-declared', ...fields }, 'Packet rules declared');
    else this.log.debug({ event: 'packet-rules-updated', ...fields }, 'Packet rules updated');
  }

  repairFailed(family: Family, problem: string): void {
    this.log.warn(
      { event: 'packet-rules-repair-failed', table: this.table, family, problem },
      'Packet rules not repaired',
    );
  }
}
