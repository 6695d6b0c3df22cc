import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { forwardedRequest } from "../../src/proxy/forward.ts";
import { parseMessage, type SipRequest } from "../../src/sip/index.ts";
import type { Endpoint, Listener } from "../../src/transaction/index.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, request } from "../support/sip-messages.ts";

function place(transport: Endpoint["transport"], port: number): Endpoint {
  const listener: Listener = { transport, address: "192.0.2.1", port, family: 4, sentByFor: () => `192.0.2.1:${port}` };
  return { transport, address: "198.51.100.9", port: 5060, listener };
}

const [UDP, TLS] = [place("udp", 5060), place("tls", 5061)];

function routesOf(uri: string, source: Endpoint, target: Endpoint): string[] {
  const sent = parseMessage(request({ uri, sentBy: "198.51.100.9:5060" })) as SipRequest;
  const text = forwardedRequest(sent, source, {
    ...{ branch: "z9hG4bKx", target, requestUri: undefined, popRoutes: 0, dropLastRoute: false, appendRoute: undefined },
    ...{ pushRoutes: [], defaultMaxForwards: 70, did: "1.2", addHeaders: [], removeHeaders: [] },
  });
  return headersOf(text, "Record-Route");
}

describe("RFC 3261 §16.6 step 4: our Record-Route", () => {
  it("is a SIPS URI of the TLS listener for a SIPS request, whatever it came by, and none for a SIP request", () => {
    const secure = ["<sips:192.0.2.1:5061;lr;did=1.2>"];
    assert.deepEqual(routesOf("sips:a@b.example", TLS, TLS), secure);
    assert.deepEqual(routesOf("sips:a@b.example", UDP, TLS), secure);
    assert.deepEqual(routesOf("sip:a@b.example", TLS, TLS), ["<sip:192.0.2.1:5061;transport=tls;lr;did=1.2>"]);
  });
});

describe("RFC 5630 §5.3", () => {
  it("a SIPS request does not go on without TLS: 480 says why, and nothing is counted", () => {
    const net = new SimNetwork();
    const caller = net.peer("198.51.100.1");
    caller.send(request({ uri: "sips:service@192.0.2.1", sentBy: caller.sentBy }));
    const refusal = caller.take(480);
    assert.equal(headerOf(refusal, "Warning"), '380 headroom "SIPS Not Allowed"');
    net.peer("203.0.113.1").assertSilent();
    net.peer("203.0.113.2").assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
  });
});
