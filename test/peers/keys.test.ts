import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KeyOf, UriKey } from "../../src/dispatch/index.ts";
import { authUser, uriKey } from "../../src/routing/dispatch-keys.ts";
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
