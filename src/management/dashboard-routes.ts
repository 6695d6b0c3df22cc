import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Asker } from "./gate.ts";
import { PAGE_POLICY, SECURITY_HEADERS } from "./security-headers.ts";
import type { Role } from "./tokens.ts";

/** Who reads the feed of the dashboard, and what its page may offer. */
export interface Visitor {
  /** Name of the token; without tokens the address of the client. */
  readonly by: string;
  readonly role: Role;
  /** Nobody may ask anything without a token. */
  readonly needsToken: boolean;
  /** Short names of the methods that this role may run, such as `lb_list`; of some only with parameters that change nothing. */
  readonly methods: readonly string[];
  /** Path that methods are asked at, such as `/mi`. */
  readonly mi: string;
}

/** The dashboard: files that anybody may have, as they hold no data, and a feed for those who may read. */
export interface DashboardPort {
  /** Paths of the files, such as `/`. */
  readonly paths: readonly string[];
  /** @returns undefined when nothing has this path */
  asset(
    path: string,
    headers: IncomingMessage["headers"],
  ): { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: Buffer | undefined } | undefined;
  /** Answers with the feed, for as long as the reader stays. */
  feed(request: IncomingMessage, response: ServerResponse, visitor: Visitor): void;
}

/** Who may ask. */
export interface DashboardGuards {
  /** For files: how many requests come is all that counts. */
  readonly anybody: (request: FastifyRequest, reply: FastifyReply, done: () => void) => void;
  readonly reader: (request: FastifyRequest, reply: FastifyReply, done: () => void) => void;
  /** Whom `reader` has let in. */
  asker(request: FastifyRequest): Asker;
}

/** Serves the dashboard at GET `/`, its files at `/dashboard/NAME`, and its feed at `/dashboard/feed`. */
export function serveDashboard(
  app: FastifyInstance,
  dashboard: DashboardPort,
  guards: DashboardGuards,
  { needsToken, mi, methods }: Pick<Visitor, "needsToken" | "mi"> & { methods(role: Role): readonly string[] },
): void {
  for (const path of dashboard.paths) {
    app.get(path, { onRequest: guards.anybody }, (request, reply) => {
      const { status, headers, body } = dashboard.asset(path, request.headers)!;
      return reply
        .code(status)
        .headers({ ...headers, "content-security-policy": PAGE_POLICY })
        .send(body);
    });
  }
  app.get("/dashboard/feed", { onRequest: guards.reader, exposeHeadRoute: false }, (request, reply) => {
    const { name, role, client } = guards.asker(request);
    reply.hijack();
    for (const [header, value] of Object.entries(SECURITY_HEADERS)) reply.raw.setHeader(header, value);
    dashboard.feed(request.raw, reply.raw, { by: needsToken ? name : client, role, needsToken, mi, methods: methods(role) });
  });
}
