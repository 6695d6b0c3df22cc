import type { AuditTrail } from "./audit-trail.ts";
import type { Asker } from "./gate.ts";
import type { Params } from "./params.ts";
import type { ManagementPorts } from "./ports.ts";

/** What a method gets besides its parameters. */
export interface MethodContext {
  readonly ports: ManagementPorts;
  /** All methods, for those that tell about methods. */
  readonly methods: MethodRegistry;
  /** What was changed, for the method that tells. */
  readonly audit: Pick<AuditTrail, "latest">;
  /** Who asks. */
  readonly asker: Pick<Asker, "name">;
}

/** One management method. */
export interface Method {
  /** `module:command`, as OpenSIPS 4.1 names it. */
  readonly name: string;
  /** Names of OpenSIPS up to 4.0; opensips-cli and opensips-cp still send these. */
  readonly aliases: readonly string[];
  /** One sentence for `help`. */
  readonly help: string;
  /** Accepted lists of parameter names. */
  readonly recipes: readonly (readonly string[])[];
  /** True when parameters must be given by name. */
  readonly namedOnly?: boolean;
  /** Whether a call with these parameters changes something: it is then for operators only, and goes into the log and the audit list. Absent: never. */
  writes?(params: Params): boolean;
  /** A viewer may not run it, though nothing that it does is worth a line in the log. Absent: as {@link Method.writes} says. */
  readonly isForOperators?: boolean;
  /** Not run for another node of a cluster: it would ask all nodes again. */
  readonly isLocalOnly?: boolean;
  /** Run also while another process is about to take over. */
  readonly isAlwaysRun?: boolean;
  /** Absent: always offered. */
  available?(ports: ManagementPorts): boolean;
  /** @returns the `result` member @throws MiError for what the client is told */
  run(params: Params, context: MethodContext): unknown;
}

/** Names a literal a method; the compiler then checks it where it is written. */
export function defineMethod(method: Method): Method {
  return method;
}

/** Methods by each of their names. Case matters, as in OpenSIPS. */
export class MethodRegistry {
  readonly #byName = new Map<string, Method>();
  readonly #names: string[] = [];

  constructor(methods: readonly Method[]) {
    for (const method of methods) this.#add(method.name, method);
    for (const method of methods) for (const alias of method.aliases) this.#add(alias, method);
  }

  find(name: string): Method | undefined {
    return this.#byName.get(name);
  }

  /** New names first, then the old ones. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** The first old name of each method that somebody with this role may run, at least with some parameters; its name where it has no other. */
  shortNamesFor(role: "viewer" | "operator"): readonly string[] {
    const offered = [...new Set(this.#byName.values())].filter(({ isForOperators }) => role === "operator" || isForOperators !== true);
    return offered.map(({ name, aliases }) => aliases[0] ?? name);
  }

  #add(name: string, method: Method): void {
    if (this.#byName.has(name)) throw new Error(`Cannot define management method "${name}": the name is taken`);
    this.#byName.set(name, method);
    this.#names.push(name);
  }
}
