import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type DispatcherOptions,
  type DispatchRequest,
  type KeyOf,
  parseRoutes,
  printFlags,
  type SelectFailure,
  type Selection,
} from "../../src/dispatch/index.ts";
import { Bench, chiSquare, made, request, uriKey } from "../dispatch/support.ts";
import { seededRandom } from "../support/random.ts";
import { type DispatcherPeer, type PeerAnswer, type PeerRequest, startDispatcherPeer } from "./kamailio-dispatcher.ts";

const REQUESTS = 2_000;

const TEN = Array.from({ length: 10 }, (_, i) => `1 sip:10.0.0.${i}:5060 0 0 duid=d${i}`).join("\n");
const MIXED = [
  "2 sip:10.1.0.1 0 5",
  "2 sip:10.1.0.2;transport=tcp 0 9 some=thing;weight=3",
  "2 sip:10.1.0.3:5080 0 5 duid=x",
  "2 sip:10.1.0.4 0 0",
  "2 sip:10.1.0.1 0 5 second=one",
  "2 10.1.0.5 0 9",
].join("\n");
/** Positions 1, 4, 5 and 8 of 10 are closed. */
const CLOSED = [0, 1, 0, 2, 4, 5, 0, 8, 9, 10]
  .map((flags, i) => `3 sip:10.2.0.${i} ${[0, 1, 0, 2, 4, 5, 0, 8, 9, 10][i] ?? flags} ${20 - i}`)
  .join("\n");
const WEIGHTS = [50, 30, 15, 5].map((weight, i) => `4 sip:10.3.0.${i} 0 ${9 - i} weight=${weight}`).join("\n");
const SHORT_WEIGHTS = [20, 30].map((weight, i) => `5 sip:10.4.0.${i} 0 ${9 - i} weight=${weight}`).join("\n");
const RELATIVE = [1, 2, 1].map((weight, i) => `6 sip:10.5.0.${i} 0 0 rweight=${weight}`).join("\n");
const RELATIVE_ONE_CLOSED = [1, 2, 3, 4].map((weight, i) => `7 sip:10.6.0.${i} ${i === 2 ? 1 : 0} 0 rweight=${weight}`).join("\n");
const CALLS = [0, 5, 3, 0, 8].map((maxload, i) => `8 sip:10.7.0.${i} 0 0 duid=c${i};maxload=${maxload}`).join("\n");
const LATENCIES = [21, 91, 61, 19, 32, 0, 201].map((ms, i) => `9 sip:10.8.0.${i} ${i === 3 ? 1 : 0} 30 latency=${ms}`).join("\n");
const UNEQUAL = [21, 91, 8, 19, 300].map((ms, i) => `10 sip:10.9.0.${i} 0 ${10 + 7 * i} latency=${ms}`).join("\n");
const LIST = [TEN, MIXED, CLOSED, WEIGHTS, SHORT_WEIGHTS, RELATIVE, RELATIVE_ONE_CLOSED, CALLS, LATENCIES, UNEQUAL].join("\n");

/** Both, over the same list. */
async function withPeer(
  params: Readonly<Record<string, string | number>>,
  options: Partial<DispatcherOptions>,
  run: (peer: DispatcherPeer, bench: Bench) => Promise<void>,
): Promise<void> {
  const peer = await startDispatcherPeer("127.0.0.1", LIST, params);
  try {
    await run(peer, new Bench(LIST, options));
  } finally {
    await peer.stop();
  }
}

/** The same request for us. */
function ours({ callId, from, to, requestUri, authUser, key, method }: PeerRequest): DispatchRequest {
  const uri = (text: string | undefined) => (text === undefined ? {} : uriKey(text));
  const keys: Partial<Record<KeyOf, ReturnType<DispatchRequest["keyOf"]>>> = {
    0: callId,
    1: from && (uri(from) as ReturnType<typeof uriKey>),
    2: to && (uri(to) as ReturnType<typeof uriKey>),
    3: requestUri && (uri(requestUri) as ReturnType<typeof uriKey>),
    5: authUser,
    7: key,
  };
  return { keyOf: (name) => keys[name], isCall: (method ?? "INVITE") === "INVITE" };
}

function select({ dispatcher }: Bench, asked: PeerRequest): Selection | SelectFailure {
  return dispatcher.select(asked.set ?? 1, asked.algorithm ?? 0, ours(asked), { limit: asked.limit ?? 0 });
}

/** As a peer answers. */
function answerOf(selection: Selection | SelectFailure): Pick<PeerAnswer, "code" | "picked" | "list"> {
  if (typeof selection === "string") return { code: -1, picked: undefined, list: [] };
  const list = selection.all().map(({ uri }) => uri);
  return { code: 1, picked: list[0], list };
}

function bare({ code, picked, list }: PeerAnswer): Pick<PeerAnswer, "code" | "picked" | "list"> {
  return { code, picked, list };
}

/** Keys as they come: numbers, names, hosts with and without ports, bytes above 127, lengths from 1. */
function keyed(algorithm: number, set: number, random: () => number): PeerRequest[] {
  const word = (length: number): string =>
    Array.from({ length }, () => "abcdefghijklmnopqrstuvwxyz0123456789-_."[Math.floor(random() * 38)]).join("");
  return Array.from({ length: REQUESTS }, (_, i) => {
    const user = i % 3 === 0 ? String(49_000_000 + i) : i % 3 === 1 ? word(1 + (i % 17)) : `${word(3)}%C3%A9${word(i % 5)}`;
    const host = ["example.com", `${word(1 + (i % 9)).replaceAll(/[-_.]/g, "x")}.test`, "10.9.8.7", "[2001:db8::1]"][i % 4];
    const port = ["", ":5060", ":5061", `:${1024 + i}`][(i >> 2) % 4];
    const uri = `${i % 7 === 6 ? "sips" : "sip"}:${i % 11 === 10 ? "" : `${user}@`}${host}${port}${i % 5 === 4 ? ";transport=tcp" : ""}`;
    const text = `${word(1 + (i % 23))}${i % 2 === 0 ? "@10.0.0.1" : ""}${i % 13 === 12 ? "\xe9\xff\x80" : ""}`;
    return { algorithm, set, callId: `${text}-${i}`, from: uri, to: uri, requestUri: uri, authUser: `${user}-${i}`, key: text };
  });
}

function counts(answers: readonly Pick<PeerAnswer, "picked">[], uris: readonly string[]): number[] {
  return uris.map((uri) => answers.filter(({ picked }) => picked === uri).length);
}

describe("Kamailio 5.6 is the judge of selection", () => {
  it("has the same sets in the same order", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      for (const [id, destinations] of await peer.list()) {
        const own = bench.dispatcher.set(id)?.destinations ?? [];
        assert.deepEqual(
          own.map(({ uri, flags, priority, attributes: { body } }) => ({ uri, flags: printFlags(flags), priority, body })),
          destinations.map(({ uri, flags, priority, body }) => ({ uri, flags, priority, body })),
        );
      }
    });
  });

  it("hashes to the same positions, and goes on in the same order, for 2,000 requests with each key", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      const random = seededRandom(1);
      for (const algorithm of [0, 1, 2, 3, 5, 7]) {
        for (const set of [1, 2]) {
          const asked = keyed(algorithm, set, random);
          const answers = await peer.ask(asked);
          for (const [i, one] of asked.entries()) assert.deepEqual(answerOf(select(bench, one)), bare(answers[i]!), JSON.stringify(one));
        }
      }
    });
  });

  it("hashes users alone with flag 1", async () => {
    await withPeer({ flags: 3 }, { hashUserOnly: true }, async (peer, bench) => {
      for (const algorithm of [1, 2, 3]) {
        const asked = keyed(algorithm, 1, seededRandom(algorithm));
        const answers = await peer.ask(asked);
        for (const [i, one] of asked.entries()) assert.deepEqual(answerOf(select(bench, one)), bare(answers[i]!), JSON.stringify(one));
      }
    });
  });

  it("sends keys whose slot lives where Kamailio sends them, and spreads the others, which it sends to the next", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      const asked = keyed(0, 3, seededRandom(3));
      const answers = await peer.ask(asked);
      const uris = bench.uris(3);
      const open = bench.dispatcher.set(3)!.destinations.map(({ flags }) => (flags & 5) === 0);
      const spread: string[] = [];
      const next: string[] = [];
      for (const [i, one] of asked.entries()) {
        const slot = bench.dispatcher.hash(uris.length, one.callId!).slot;
        const own = made(select(bench, one)).destination.uri;
        if (open[slot]) assert.equal(own, answers[i]!.picked);
        else {
          spread.push(own);
          next.push(answers[i]!.picked!);
        }
      }
      const alive = uris.filter((_, i) => open[i]);
      const share = (picks: string[]) => alive.map((uri) => picks.filter((picked) => picked === uri).length);
      assert.ok(spread.length > 500, String(spread.length));
      assert.ok(
        chiSquare(
          share(spread),
          alive.map(() => 1),
        ) < 1,
        String(share(spread)),
      );
      assert.ok(share(next).filter((count) => count === 0).length >= 2, `Kamailio: ${share(next)}`);
    });
  });

  it("takes turns in the same order, over closed destinations too, also when credentials are missing", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      const random = seededRandom(4);
      const asked = Array.from(
        { length: REQUESTS },
        (): PeerRequest => ({ algorithm: random() < 0.7 ? 4 : 5, set: [1, 2, 3][Math.floor(random() * 3)]! }),
      );
      const answers = await peer.ask(asked);
      for (const [i, one] of asked.entries()) assert.deepEqual(answerOf(select(bench, one)), bare(answers[i]!), `request ${i}`);
    });
  });

  it("goes by priority in the same order, and takes the first for an algorithm that nobody knows", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      const asked = [1, 2, 3, 4, 5, 8].flatMap((set) =>
        [8, 14, 99].flatMap((algorithm) => [0, 1, 3].map((limit): PeerRequest => ({ set, algorithm, limit }))),
      );
      const answers = await peer.ask(asked);
      for (const [i, one] of asked.entries()) {
        if (one.algorithm === 14) continue; // 5.6 does not know it and takes the first
        assert.deepEqual(answerOf(select(bench, one)), bare(answers[i]!), JSON.stringify(one));
      }
    });
  });

  it("gives the same shares by weight and relative weight", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      for (const [set, algorithm] of [
        [4, 9],
        [5, 9],
        [6, 11],
        [7, 11],
      ] as const) {
        const asked = Array.from({ length: REQUESTS }, (): PeerRequest => ({ set, algorithm }));
        const theirs = counts(await peer.ask(asked), bench.uris(set));
        const own = counts(
          asked.map((one) => answerOf(select(bench, one))),
          bench.uris(set),
        );
        for (const [i, count] of own.entries())
          assert.ok(Math.abs(count - theirs[i]!) <= REQUESTS / 100, `set ${set}: ${own} and ${theirs}`);
      }
    });
  });

  it("counts calls in the same way: the same picks, refusals and loads for 2,000 calls that begin and end", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      const random = seededRandom(5);
      const running: string[] = [];
      const selections = new Map<string, Selection>();
      const asked: PeerRequest[] = [];
      for (let i = 0; i < REQUESTS; i++) {
        const ends = running.length > 0 && random() < (i % 400 < 150 ? 0.1 : 0.55);
        if (ends) {
          const [callId = ""] = running.splice(Math.floor(random() * running.length), 1);
          asked.push({ run: "load", method: "BYE", callId });
          continue;
        }
        asked.push({ set: 8, algorithm: 10, callId: `call-${i}` });
        running.push(`call-${i}`);
      }
      const answers = await peer.ask(asked);
      for (const [i, one] of asked.entries()) {
        if (one.run === "load") {
          selections.get(one.callId!)?.release();
          continue;
        }
        const selection = select(bench, one);
        assert.deepEqual(answerOf(selection), bare(answers[i]!), `call ${i}`);
        if (typeof selection !== "string") selections.set(one.callId!, selection);
      }
      const loads = (await peer.list()).get(8)!.map(({ load }) => load);
      assert.deepEqual(
        bench.dispatcher.set(8)!.destinations.map(({ load }) => load),
        loads,
      );
      assert.ok(
        loads.some((load) => load! > 5),
        String(loads),
      );
    });
  });

  it("prefers the fastest in the same order", async () => {
    await withPeer({ ds_ping_latency_stats: 1 }, {}, async (peer, bench) => {
      const asked = Array.from({ length: 200 }, (_, i): PeerRequest => ({ set: i % 3 === 2 ? 10 : 9, algorithm: i % 7 === 6 ? 4 : 13 }));
      const answers = await peer.ask(asked);
      for (const [i, one] of asked.entries()) assert.deepEqual(answerOf(select(bench, one)), bare(answers[i]!), `request ${i}`);
    });
  });

  it("is as random", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      const asked = Array.from({ length: REQUESTS }, (): PeerRequest => ({ algorithm: 6 }));
      const even = bench.uris().map(() => 1);
      const theirs = counts(await peer.ask(asked), bench.uris());
      const own = counts(
        asked.map((one) => answerOf(select(bench, one))),
        bench.uris(),
      );
      assert.ok(chiSquare(theirs, even) < 1, `Kamailio: ${theirs}`);
      assert.ok(chiSquare(own, even) < 1, String(own));
    });
  });

  it("keeps the last one for when no other is left, with use_default", async () => {
    await withPeer({ use_default: 1 }, { useDefault: true }, async (peer, bench) => {
      for (const closed of [[], [0, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]) {
        for (const position of [0, 1, 2, 3, 4]) {
          const uri = bench.uris(10)[position]!;
          const state = closed.includes(position) ? "i" : "a";
          await peer.rpc("dispatcher.set_state", [state, 10, uri]);
          bench.dispatcher.setState(10, uri, state === "i" ? 1 : 0);
        }
        const asked = [4, 8, 13].flatMap((algorithm) =>
          Array.from({ length: 15 }, (_, i): PeerRequest => ({ algorithm, set: 10, limit: i % 4 })),
        );
        const answers = await peer.ask(asked);
        for (const [i, one] of asked.entries()) {
          const own = answerOf(select(bench, one));
          if (one.algorithm !== 13) assert.deepEqual(own, bare(answers[i]!), `${closed}: ${JSON.stringify(one)}`);
          // Kamailio lists one destination twice there, and does not come to the default
          else if (closed.length < 4) assert.equal(own.picked, answers[i]!.picked, `${closed}: ${JSON.stringify(one)}`);
        }
      }
      const asked = Array.from({ length: REQUESTS }, (): PeerRequest => ({ set: 5, algorithm: 9 }));
      assert.deepEqual(
        counts(
          asked.map((one) => answerOf(select(bench, one))),
          bench.uris(5),
        ),
        counts(await peer.ask(asked), bench.uris(5)),
      );
    });
  });

  it("chains sets in the same order", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      const rules = ["1=8;2=4", "2=4;1=4;3=4", "77=4;3=8", "3=8;77=4", "1=0;2=1;1=7", "77=0;78=4"];
      const asked = Array.from(
        { length: 300 },
        (_, i): PeerRequest => ({ run: "routes", rules: rules[i % rules.length]!, callId: `c${i}`, from: `sip:${i}@x.test`, key: `k${i}` }),
      );
      const answers = await peer.ask(asked);
      for (const [i, one] of asked.entries()) {
        const routes = parseRoutes(one.rules!);
        assert.ok(typeof routes !== "string", String(routes));
        assert.deepEqual(answerOf(bench.dispatcher.selectRoutes(routes, ours(one))), bare(answers[i]!), JSON.stringify(one));
      }
    });
  });

  it("finds the same senders by every mode", async () => {
    await withPeer({}, {}, async (peer, bench) => {
      const uris = [
        "10.1.0.1",
        "10.1.0.1:5060",
        "10.1.0.1:5060;transport=udp",
        "10.1.0.2",
        "10.1.0.2:5060;transport=tcp",
        "10.1.0.3:5080",
        "10.1.0.3:5081",
        "10.2.0.1",
        "10.2.0.4",
        "10.2.0.3:9;transport=tcp",
        "10.0.0.3",
        "10.0.0.3:5060",
        "192.0.2.1",
      ];
      const asked = uris.flatMap((uri) =>
        [0, 1, 2, 3, 4, 5, 6, 7].flatMap((mode) =>
          [-1, 1, 2, 3, 77].map((set): PeerRequest => ({ run: "from", uri: `sip:${uri}`, mode, set })),
        ),
      );
      const answers = await peer.ask(asked);
      for (const [i, { uri = "", mode = 0, set = 0 }] of asked.entries()) {
        const { port, transport, address = "" } = parse(uri);
        const found = bench.dispatcher.findSource({ address, port, transport }, set === -1 ? undefined : set, mode);
        assert.equal(found === undefined ? -1 : 1, answers[i]!.code, JSON.stringify(asked[i]));
        if (found !== undefined && set === -1) assert.equal(found.setId, answers[i]!.matched.set);
      }
      for (const set of [1, 3, 77]) {
        const [any] = await peer.ask([{ run: "active", set }]);
        assert.equal(bench.dispatcher.isActive(set) ? 1 : -1, any!.code);
        for (const uri of bench.uris(set)) {
          const [one] = await peer.ask([{ run: "active", set, uri }]);
          assert.equal(bench.dispatcher.isActive(set, uri) ? 1 : -1, one!.code);
        }
      }
    });
  });

  it("refuses when a request has no key", () => {
    const bench = new Bench(LIST);
    for (const algorithm of [0, 1, 2, 3, 7, 100]) assert.equal(bench.dispatcher.select(1, algorithm, request()), "no-key");
  });
});

function parse(uri: string) {
  const [, address = "", port = "0", transport = ""] = /^sip:([\d.]+)(?::(\d+))?(?:;transport=(\w+))?$/.exec(uri) ?? [];
  return { address, port: Number(port), transport };
}
