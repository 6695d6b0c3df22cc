import { setImmediate } from "node:timers/promises";
import { type AuditEntry, AuditTrail } from "./audit-trail.ts";
import type { Method, MethodContext, MethodRegistry } from "./define-method.ts";
import { type Dialect, OPENSIPS } from "./dialect.ts";
import type { Asker } from "./gate.ts";
import {
  errorText,
  INVALID_REQUEST,
  isEmpty,
  METHOD_NOT_FOUND,
  MiError,
  PARSE_ERROR,
  type RequestId,
  type RpcCall,
  readRequest,
  resultText,
  SERVER_ERROR,
} from "./jsonrpc.ts";
import { MAX_AUDIT_REASON_LENGTH, MAX_BATCH, MAX_BATCH_ANSWER_CHARS, MAX_LOGGED_LENGTH } from "./limits.ts";
import type { AskerElsewhere, ManagementPorts, MethodOutcome, MethodParams } from "./ports.ts";
import { ToldForbidden } from "./told-forbidden.ts";

/** What one request, or a text that is none, is answered. */
interface Reply {
  readonly text: string;
  /** Of HTTP, when it stands alone. */
  readonly status: number;
}

/** Status 202 goes with an empty body: there were only notifications. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What one HTTP body may use up, and how it is spoken to. */
interface Budget {
  readonly dialect: Dialect;
  readonly asker: Asker;
  /** On the clock of `performance.now()`. */
  readonly endsAtMs: number;
  spent: boolean;
  /** Characters that the answers of a batch may still have; the last one may go beyond. */
  charsLeft: number;
}

/** Runs the methods that HTTP bodies ask for. It never throws: each failure is an answer, and the unexpected ones are logged. */
export class Dispatcher {
  readonly #methods: MethodRegistry;
  readonly #ports: ManagementPorts;
  readonly #timeoutMs: number;
  readonly #audit = new AuditTrail();
  readonly #toldForbidden = new ToldForbidden();

  /** @param timeoutMs for one request, or for a whole batch */
  constructor(methods: MethodRegistry, ports: ManagementPorts, timeoutMs: number) {
    this.#methods = methods;
    this.#ports = ports;
    this.#timeoutMs = timeoutMs;
  }

  async answer(body: string, asker: Asker, dialect: Dialect = OPENSIPS): Promise<Answer> {
    const budget = this.#budget(dialect, asker);
    let parsed: unknown;
    try {
      parsed = JSON.parse(body);
    } catch {
      return found(failed(new MiError(PARSE_ERROR, "Parse error"), null, dialect));
    }
    if (!Array.isArray(parsed)) return found(await this.#one(parsed, budget));
    if (parsed.length === 0) return found(failed(new MiError(INVALID_REQUEST, "Invalid Request"), null, dialect));
    if (parsed.length > MAX_BATCH) {
      const detail = `Cannot run a batch of ${parsed.length} requests: at most ${MAX_BATCH} are accepted`;
      return found(failed(new MiError(INVALID_REQUEST, "Invalid Request", detail), null, dialect));
    }
    const answers: string[] = [];
    // One after the other: a client that resizes and then lists wants to see the new size.
    for (const item of parsed) {
      const reply = await this.#one(item, budget);
      if (reply === undefined) continue;
      answers.push(reply.text);
      budget.charsLeft -= reply.text.length;
      // Calls get their turn between two answers.
      await setImmediate();
    }
    return found(answers.length > 0 ? { text: `[${answers.join(",")}]`, status: 200 } : undefined);
  }

  /**
   * Runs one method for another node of the cluster, or for the process before this one. Never rejects.
   *
   * @param asker who asked there, and where that was: whether he may was decided there
   */
  async outcome(method: string, params: MethodParams | undefined, { name, client }: AskerElsewhere): Promise<MethodOutcome> {
    const budget = this.#budget(OPENSIPS, { name, role: "operator", client });
    try {
      if (this.#methods.find(method)?.isLocalOnly === true) throw new MiError(400, "Command cannot be run for another node");
      return {
        result: await this.#run({ kind: "call", method, params: isEmpty(params) ? undefined : params, id: undefined }, budget),
      };
    } catch (error) {
      const { code, message, data } = this.#told(error, method, client);
      return { error: data === undefined ? { code, message } : { code, message, data } };
    }
  }

  /** What the client is told of a failure; what nobody expected goes into the log. */
  #told(error: unknown, method: string, client: string): MiError {
    if (error instanceof MiError) return error;
    this.#ports.log.error({ err: error, method: shortened(method), client }, "management method failed");
    return new MiError(SERVER_ERROR, "Server error", "Command failed, the log says why");
  }

  #budget(dialect: Dialect, asker: Asker): Budget {
    return { dialect, asker, endsAtMs: performance.now() + this.#timeoutMs, spent: false, charsLeft: MAX_BATCH_ANSWER_CHARS };
  }

  /** @returns undefined for a notification that is not answered */
  async #one(value: unknown, budget: Budget): Promise<Reply | undefined> {
    const { dialect } = budget;
    const call = readRequest(value);
    if (call.kind === "invalid") return failed(new MiError(INVALID_REQUEST, "Invalid Request"), call.id, dialect);
    const isAnswered = call.id !== undefined || dialect.answersAll;
    try {
      const result = await this.#run(call, budget);
      return isAnswered ? { text: resultText(result, call.id), status: 200 } : undefined;
    } catch (error) {
      const told = this.#told(error, call.method, budget.asker.client);
      return isAnswered ? failed(told, call.id, dialect) : undefined;
    }
  }

  async #run(call: RpcCall, budget: Budget): Promise<unknown> {
    const method = this.#methods.find(call.method);
    if (method === undefined) throw new MiError(METHOD_NOT_FOUND, "Method not found");
    const { asker } = budget;
    if (asker.role === "viewer") this.#refuseChanges(method, call, budget);
    const elsewhere = method.isAlwaysRun === true ? undefined : this.#ports.elsewhere?.(call.method, call.params, asker);
    const told = elsewhere && ((await this.#within(budget, elsewhere, method)) as MethodOutcome | undefined);
    if (told !== undefined) return resultOf(told);
    const params = budget.dialect.match(method.recipes, call.params, method.namedOnly ?? false);
    if (budget.spent || performance.now() >= budget.endsAtMs) {
      throw new MiError(SERVER_ERROR, "Server error", `Not run: the batch took longer than ${this.#timeoutMs} ms`);
    }
    if (budget.charsLeft <= 0) {
      throw new MiError(
        SERVER_ERROR,
        "Server error",
        `Not run: the answers of the batch are longer than ${MAX_BATCH_ANSWER_CHARS} characters`,
      );
    }
    const context: MethodContext = { ports: this.#ports, methods: this.#methods, audit: this.#audit, asker };
    const isChange = method.writes?.(params) === true;
    try {
      const outcome = method.run(params, context);
      const result = outcome instanceof Promise ? await this.#within(budget, outcome, method) : outcome;
      if (isChange) this.#wasAsked(method, call, asker, "done");
      return result;
    } catch (error) {
      if (isChange) this.#wasAsked(method, call, asker, "failed", error);
      throw error;
    }
  }

  /** @throws MiError when the method changes something */
  #refuseChanges(method: Method, call: RpcCall, { asker, dialect }: Budget): void {
    const params = dialect.match(method.recipes, call.params, method.namedOnly ?? false);
    if (method.isForOperators !== true && method.writes?.(params) !== true) return;
    const error = new MiError(403, "Forbidden", `Cannot run ${method.name} as viewer "${asker.name}": want the token of an operator`);
    this.#wasAsked(method, call, asker, "forbidden", error);
    throw error;
  }

  /** Puts a change, or the wish for one, into the log and the audit list, and tells of it. */
  #wasAsked(method: Method, call: RpcCall, { name: by, client }: Asker, outcome: AuditEntry["outcome"], error?: unknown): void {
    const { counters, log } = this.#ports;
    counters?.changed(outcome);
    const untold = outcome === "forbidden" ? this.#toldForbidden.take(by, performance.now()) : 0;
    if (untold === undefined) return;
    const asked = { by, client, method: method.name, params: paramsText(call.params), outcome };
    const entry = this.#audit.add({ atMs: this.#ports.nowMs(), ...asked, ...(error !== undefined && { reason: reasonOf(error) }) });
    const told = { by, client, method: entry.method, params: entry.params };
    if (outcome === "done") log.info(told, "management method done");
    else log.warn({ ...told, reason: entry.reason, ...(untold > 0 && { untold }) }, `management method ${outcome}`);
    this.#ports.changed?.(entry);
  }

  /** Waits for `work` as long as the budget lasts. Work that comes later still ends; only its answer is lost, so its failure is logged. */
  async #within(budget: Budget, work: Promise<unknown>, method: Method): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined;
    work.catch((error: unknown) => {
      if (budget.spent) this.#ports.log.error({ err: error, method: method.name }, "management method failed after its time was over");
    });
    const over = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        budget.spent = true;
        reject(
          new MiError(SERVER_ERROR, "Server error", `No answer from ${method.name} within ${this.#timeoutMs} ms: it may still finish`),
        );
      }, budget.endsAtMs - performance.now());
    });
    try {
      return await Promise.race([work, over]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What nobody expected is for the log alone, which has it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof MiError)) return "Server error";
  return `${error.message}${error.data === undefined ? "" : `: ${error.data}`}`.slice(0, MAX_AUDIT_REASON_LENGTH);
}

function paramsText(params: RpcCall["params"]): string {
  try {
    return shortened(JSON.stringify(params ?? []));
  } catch {
    return "(nested too deeply)";
  }
}

function resultOf(outcome: MethodOutcome): unknown {
  if (!("error" in outcome)) return outcome.result;
  const { code, message, data } = outcome.error;
  throw new MiError(code, message, typeof data === "string" ? data : undefined);
}

function found(reply: Reply | undefined): Answer {
  return reply === undefined ? { status: 202, body: "" } : { status: reply.status, body: reply.text };
}

function failed(error: MiError, id: RequestId | undefined, dialect: Dialect): Reply {
  const told = dialect.told(error);
  return { text: errorText(told, id), status: dialect.statusOf(told) };
}

function shortened(text: string): string {
  return text.length > MAX_LOGGED_LENGTH ? `${text.slice(0, MAX_LOGGED_LENGTH)}...` : text;
}
