import { msOf } from "./hlc.ts";
import type { StatusReplicaPorts } from "./status-ports.ts";
import { fieldOf, type StatusRecord } from "./status-record.ts";
import { STATUS_DROP } from "./status-script.ts";

/** What was decided this long ago of a destination that is in no table is forgotten, ms: else registers of destinations that come and go would fill the room. */
export const FORGOTTEN_AFTER_MS = 30 * 24 * 3_600_000;
/** Registers that one comparison removes from Redis at most. */
const MAX_REMOVALS = 1_000;

/**
 * Forgets registers of destinations that are gone, whenever all is compared. A node whose table has the destination still, as tables may differ, finds its
 * register missing and writes it again.
 */
export class StatusPurge {
  readonly #ports: StatusReplicaPorts;
  /** Is told the number of each change. */
  readonly #changed: (seq: number) => void;

  constructor(ports: StatusReplicaPorts, changed: (seq: number) => void) {
    this.#ports = ports;
    this.#changed = changed;
  }

  /** The fields of those of these registers that nobody needs here any more; those that Redis has go there, too. */
  forgotten(held: ReadonlyMap<string, StatusRecord>, own: ReadonlyMap<string, StatusRecord>): string[] {
    const isForgotten = this.#judge();
    const fields: string[] = [];
    let removed = 0;
    for (const [field, record] of held) {
      if (!isForgotten(record)) continue;
      fields.push(field);
      if (removed++ < MAX_REMOVALS) this.#remove(record);
    }
    for (const [field, record] of own) if (isForgotten(record) && (held.get(field)?.version ?? "") <= record.version) fields.push(field);
    return fields;
  }

  #judge(): (record: StatusRecord) => boolean {
    const { beats, isListed } = this.#ports;
    if (isListed === undefined) return () => false;
    const beforeMs = beats.redisNowMs() - FORGOTTEN_AFTER_MS;
    return ({ group, uri, version }) => msOf(version) < beforeMs && !isListed(group, uri);
  }

  #remove({ aspect, group, uri, version }: StatusRecord): void {
    const { link, keys, log } = this.#ports;
    link.run(STATUS_DROP, [keys.status, keys.statusSeq], [fieldOf(aspect, group, uri), version]).then(
      (seq) => {
        if (Number(seq) > 0) this.#changed(Number(seq));
      },
      (error: unknown) => log.debug({ err: error }, "cannot forget a status in Redis"), // the next comparison tries again
    );
  }
}
