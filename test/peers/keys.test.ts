import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KeyOf, UriKey } from "../../src/dispatch/index.ts";
import type { ProxyCall } from "../../src/proxy/ports.ts";
import { authUser, uriKey } from "../../src/routing/dispatch-keys.ts";
import { compileExpression } from "../../src/routing/expression.ts";
import { withHostOf } from "../../src/routing/request-uri.ts";
import { parseMessage, type SipRequest } from "../../src/sip/index.ts";
import { Bench, made, request } from "../dispatch/support.ts";
import { request as requestText } from "../support/sip-messages.ts";
import { type PeerRequest, startDispatcherPeer } from "./kamailio-dispatcher.ts";

/** Many destinations, so that another key is another destination. */
const LIST = Array.from({ length: 97 }, (_, i) => `1 sip:10.0.0.${i}`).join("\n");

const URIS = [
  ...["sip:alice@example.com", "sip:Alice@Example.COM", "sip:alice@EXAMPLE.com:5060", "sip:alice@example.com:5070"],
  ...["sip:alice:secret@example.com", "sip:example.com", "sip:EXAMPLE.com:5080", "sip:al%69ce@example.com;transport=tcp"],
  ...["sips:alice@example.com:5061", "sips:alice@example.com:5060", "sip:alice@[2001:DB8::1]", "sip:alice@[2001:db8::1]:5062"],
  ...[
    "sip:+4930123;phone-context=x@example.com;user=phone",
    "sip:a=b@10.0.0.1:05070",
    "sip:alice@example.com?subject=x",
    "tel:+4930123456",
  ],
];

describe("keys of URIs and credentials, as Kamailio hashes them", () => {
  it("lead every URI in From, To and Request-URI to the destination that Kamailio takes", async () => {
    const peer = await startDispatcherPeer("127.0.0.1", LIST);
    try {
      const { dispatcher } = new Bench(LIST);
      const asked: PeerRequest[] = URIS.flatMap((uri) => [
        { algorithm: 1, from: uri },
        { algorithm: 2, to: uri },
        { algorithm: 3, requestUri: uri },
      ]);
      const answers = await peer.ask(asked);
      const ours = asked.map(({ algorithm = 0, from, to, requestUri }) => {
        const key: UriKey | undefined = uriKey(from ?? to ?? requestUri ?? "");
        return made(dispatcher.select(1, algorithm, request({ [algorithm as KeyOf]: key }))).destination.uri;
      });
      assert.deepEqual(
        ours.map((uri, i) => [URIS[Math.trunc(i / 3)], asked[i]?.algorithm, uri]),
        answers.map(({ picked }, i) => [URIS[Math.trunc(i / 3)], asked[i]?.algorithm, picked]),
      );
    } finally {
      await peer.stop();
    }
  });

  it("have the host of a destination written into every URI as Kamailio does", async () => {
    const list = ["1 sip:10.0.0.1", "2 sip:10.0.0.2:5080;transport=tcp;lr", "3 sip:gw@10.0.0.3:5090", "4 sip:[2001:db8::4]:5060"].join(
      "\n",
    );
    const peer = await startDispatcherPeer("127.0.0.1", list);
    try {
      const { dispatcher } = new Bench(list);
      const sip = URIS.filter((uri) => !uri.startsWith("tel:"));
      const asked = sip.flatMap((requestUri) => [1, 2].map((set) => ({ run: "domain", requestUri, set, algorithm: 8 }) as const));
      const answers = await peer.ask(asked);
      assert.deepEqual(
        asked.map(({ requestUri, set }) => [requestUri, set, withHostOf(requestUri, dispatcher.set(set)?.destinations[0]?.uri ?? "")]),
        asked.map(({ requestUri, set }, i) => [requestUri, set, answers[i]?.requestUri]),
      );
    } finally {
      await peer.stop();
    }
  });

  it("are the same of an expression", async () => {
    const expression = "$fU@$fd/$ci/$rU/$rd/$tU/$rm/$ft/$hdr(X-Key)/$ua/$au/$hdr(X-None)/$si";
    const peer = await startDispatcherPeer("127.0.0.1", LIST, { hash_pvar: expression });
    try {
      const { dispatcher } = new Bench(LIST);
      const evaluate = compileExpression(expression);
      assert.ok(typeof evaluate !== "string", String(evaluate));
      for (const [i, uri] of URIS.filter((uri) => !uri.startsWith("tel:")).entries()) {
        const asked = { algorithm: 7, from: uri, to: uri, requestUri: uri, callId: `c${i}@x`, key: `key ${i}` };
        const [answer] = await peer.ask([asked]);
        const text = requestText({
          uri,
          from: `<${uri}>;tag=${i + 1}`,
          to: `<${uri}>`,
          callId: asked.callId,
          headers: [`X-Key: ${asked.key}`],
        });
        const message = parseMessage(text) as SipRequest;
        const call = {
          request: message,
          callId: asked.callId,
          requestUri: uri,
          source: { address: "127.0.0.1", port: 0 },
          variables: new Map(),
        };
        const key = evaluate(call as unknown as ProxyCall);
        assert.equal(made(dispatcher.select(1, 7, request({ 7: key }))).destination.uri, answer?.picked, `${uri}: ${key}`);
      }
    } finally {
      await peer.stop();
    }
  });

  it("lead every user of credentials there", async () => {
    const peer = await startDispatcherPeer("127.0.0.1", LIST);
    try {
      const { dispatcher } = new Bench(LIST);
      for (const user of ["alice", "Alice", "alice@example.com", "al ice", "+4930"]) {
        const [answer] = await peer.ask([{ algorithm: 5, authUser: user }]);
        const header = `Proxy-Authorization: Digest username="${user}", realm="r", nonce="n", uri="sip:x", response="00"`;
        const text = requestText({ headers: [header] });
        const key = authUser(parseMessage(text) as SipRequest);
        assert.equal(made(dispatcher.select(1, 5, request({ 5: key ?? "" }))).destination.uri, answer?.picked, user);
      }
    } finally {
      await peer.stop();
    }
  });
});
