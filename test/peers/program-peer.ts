import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { routesOf } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { type PeerRequest, requestText } from "./kamailio-dispatcher.ts";

/** Calls that are under way at once. */
const WINDOW = 16;
const ANSWER_TIMEOUT_MS = 60_000;
/** Requests are not repeated by this side: on one machine none is lost. */
const REFUSED = 486;

/** A destination that answers: new calls with 486, or with 200 when they shall stand. */
export interface PeerTarget {
  /** As it stands in lists. */
  readonly uri: string;
  close(): void;
}

/** What has become of a request: the destination that got it, or the status of who refused it. */
export interface ProgramAnswer {
  readonly status: number;
  /** URI of the destination. */
  readonly picked: string | undefined;
}

/** The whole program in a process of its own, over a list of destinations that are there. */
export interface ProgramPeer {
  readonly headroom: Headroom;
  /** Sends the requests in their order, several at a time; each is refused by its destination. */
  ask(requests: readonly PeerRequest[]): Promise<ProgramAnswer[]>;
  /** Sends the requests one after the other: an INVITE makes a call that stays, a BYE ends that of its Call-ID. */
  call(requests: readonly PeerRequest[]): Promise<ProgramAnswer[]>;
  stop(): Promise<void>;
}

/** Opens destinations, each at a port of its own. They answer as `X-Run` says: `call` is taken. */
export async function openTargets(address: string, count: number, heard: (callId: string, uri: string) => void): Promise<PeerTarget[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = await openSocket(address);
      const uri = `sip:${address}:${socket.address().port}`;
      socket.on("message", (bytes, from) => {
        const text = bytes.toString("latin1");
        if (statusOf(text) !== 0 || text.startsWith("ACK ")) return;
        if (text.startsWith("INVITE ")) heard(headerOf(text, "Call-ID"), uri);
        const isTaken = !text.startsWith("INVITE ") || headerOf(text, "X-Key") === "stays";
        const answer = responseTo(text, isTaken ? 200 : REFUSED, { toTag: "there", headers: [`Contact: <${uri}>`] });
        socket.send(Buffer.from(answer, "latin1"), from.port, from.address);
      });
      return { uri, close: () => socket.close() };
    }),
  );
}

/**
 * Starts the program with a list file. A rule for each set and algorithm looks at the headers of {@link requestText}.
 *
 * @param picks who got a call, by Call-ID: what destinations have {@link openTargets heard}
 * @param cases sets with their algorithms
 */
export async function startProgramPeer(
  address: string,
  list: string,
  cases: readonly (readonly [set: number, algorithm: number])[],
  picks: ReadonlyMap<string, string>,
): Promise<ProgramPeer> {
  const folder = mkdtempSync(join(tmpdir(), "headroom-peer-program-"));
  const file = join(folder, "dispatcher.list");
  writeFileSync(file, list);
  const rules = cases.map(([set, algorithm]) => ({
    match: { header: { "X-Set": `^${set}$`, "X-Algorithm": `^${algorithm}$` } },
    dispatch: { set, algorithm },
  }));
  const config = { dispatcher: { list_file: file, hash_pvar: "$hdr(X-Key)" }, dialog: { persistence: "off" }, routing: { rules } };
  const headroom = await startHeadroom(stringify(config), [], address);
  const socket = await openSocket(address);
  const sentBy = `${address}:${socket.address().port}`;
  const send = (text: string): void => socket.send(Buffer.from(text, "latin1"), headroom.port, headroom.address);
  let number = 0;

  /** Sends texts, a few at a time, and acknowledges what ends an INVITE. @returns the final answers in the order of the texts */
  function exchange(texts: readonly string[], window: number): Promise<string[]> {
    const finals: string[] = [];
    if (texts.length === 0) return Promise.resolve(finals);
    const places = new Map(texts.map((text, i) => [headerOf(text, "Via"), i]));
    let sent = 0;
    let answered = 0;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => end(new Error(`Waited ${ANSWER_TIMEOUT_MS} ms for ${texts.length - answered} answers\n${headroom.log().slice(-2_000)}`)),
        ANSWER_TIMEOUT_MS,
      );
      function end(error?: Error): void {
        clearTimeout(timer);
        socket.off("message", take);
        if (error === undefined) resolve(finals);
        else reject(error);
      }
      function fill(): void {
        while (sent < texts.length && sent - answered < window) send(texts[sent++]!);
      }
      function take(bytes: Buffer): void {
        const text = bytes.toString("latin1");
        const place = places.get(headerOf(text, "Via").replace(/;(?:rport|received)[^;]*/g, ""));
        if (statusOf(text) < 200 || place === undefined) return;
        if (headerOf(text, "CSeq").endsWith("INVITE")) send(ackOf(text, texts[place]!, sentBy));
        if (finals[place] !== undefined) return;
        finals[place] = text;
        answered++;
        if (answered === texts.length) end();
        else fill();
      }
      socket.on("message", take);
      fill();
    });
  }

  const answerOf = (final: string): ProgramAnswer => ({ status: statusOf(final), picked: picks.get(headerOf(final, "Call-ID")) });
  const calls = new Map<string, string>();
  return {
    headroom,
    async ask(requests) {
      const texts = requests.map((one) => requestText(one, ++number, sentBy));
      return (await exchange(texts, WINDOW)).map(answerOf);
    },
    async call(requests) {
      const answers: ProgramAnswer[] = [];
      for (const one of requests) {
        const { callId = "", method = "INVITE" } = one;
        const text = method === "BYE" ? byeOf(calls.get(callId), sentBy) : requestText(one, ++number, sentBy);
        const [final = ""] = text === undefined ? [] : await exchange([text], 1);
        if (method !== "BYE" && statusOf(final) === 200) calls.set(callId, final);
        answers.push(answerOf(final));
      }
      return answers;
    },
    async stop() {
      socket.close();
      await headroom.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

async function openSocket(address: string): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

/** What acknowledges a final answer: inside the dialog when it is a 200, else as part of the transaction (RFC 3261 §17.1.1.3). */
function ackOf(final: string, invite: string, sentBy: string): string {
  const [, uri = ""] = /^INVITE (\S+)/.exec(invite) ?? [];
  const ofDialog = statusOf(final) === 200;
  return request({
    method: "ACK",
    uri: ofDialog ? contactOf(final) : uri,
    sentBy,
    from: headerOf(final, "From"),
    to: headerOf(final, "To"),
    callId: headerOf(final, "Call-ID"),
    cseq: Number.parseInt(headerOf(final, "CSeq"), 10),
    ...(ofDialog ? { routes: routesOf(final).reverse() } : { branch: /branch=([^;]+)/.exec(headerOf(invite, "Via"))?.[1] ?? "" }),
  });
}

/** Nothing for a call that was refused. */
function byeOf(final: string | undefined, sentBy: string): string | undefined {
  if (final === undefined) return undefined;
  return request({
    method: "BYE",
    uri: contactOf(final),
    sentBy,
    from: headerOf(final, "From"),
    to: headerOf(final, "To"),
    callId: headerOf(final, "Call-ID"),
    cseq: Number.parseInt(headerOf(final, "CSeq"), 10) + 1,
    routes: routesOf(final).reverse(),
  });
}

function contactOf(message: string): string {
  return /<([^>]*)>/.exec(headerOf(message, "Contact"))?.[1] ?? "";
}
