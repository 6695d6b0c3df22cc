import { MAX_AUDIT_ENTRIES, MAX_AUDIT_FORBIDDEN } from "./limits.ts";

/** A change that somebody asked management for. */
export interface AuditEntry {
  /** From 1, in the order in which they ended; no number is given twice in one run of the program. */
  readonly serial: number;
  /** When it ended, wall clock in ms since 1970. */
  readonly atMs: number;
  /** Name of the token, `local` where none is asked for, `anna on node 2` where another node of the cluster was asked. Never the token. */
  readonly by: string;
  /** Address that it came from. */
  readonly client: string;
  /** Name of the method. */
  readonly method: string;
  /** Its parameters as JSON, shortened. */
  readonly params: string;
  /** `done`; `failed`: the method has refused it, or could not do it; `forbidden`: a viewer has tried. */
  readonly outcome: "done" | "failed" | "forbidden";
  /** Why it was not done. */
  readonly reason?: string;
}

/** The latest changes. What viewers try has places of its own, so that it cannot push out what was done. */
export class AuditTrail {
  readonly #max: number;
  readonly #entries: AuditEntry[] = [];
  readonly #forbidden: AuditEntry[] = [];
  #serial = 0;

  constructor(max: number = MAX_AUDIT_ENTRIES) {
    this.#max = max;
  }

  add(entry: Omit<AuditEntry, "serial">): AuditEntry {
    const numbered = { serial: ++this.#serial, ...entry };
    const [ring, max] = entry.outcome === "forbidden" ? [this.#forbidden, MAX_AUDIT_FORBIDDEN] : [this.#entries, this.#max];
    ring.push(numbered);
    if (ring.length > max) ring.shift();
    return numbered;
  }

  /** The last `count`, oldest first. */
  latest(count: number): readonly AuditEntry[] {
    const all = [...this.#entries, ...this.#forbidden].sort((a, b) => a.serial - b.serial);
    return count <= 0 ? [] : all.slice(-count);
  }
}
