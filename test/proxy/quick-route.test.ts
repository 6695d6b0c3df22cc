import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { planRoute, type RoutePlan, readRoute } from "../../src/proxy/loose-route.ts";
import { parseMessage, type SipRequest } from "../../src/sip/index.ts";
import type { Endpoint, Listener } from "../../src/transaction/index.ts";
import { SimNetwork } from "../support/sim-network.ts";

const RUNS = { numRuns: 3_000, seed: 7 };
const OWN = "192.0.2.1:5060";

const route = fc
  .array(
    fc.constantFrom(
      ...[
        "<",
        `<sip:${OWN};lr;did=1.a_b`,
        `<sip:${OWN};lr;did=1.a_b>`,
        `<sip:${OWN};lr;did=1.a_b;r2=on>`,
        `sip:${OWN};lr;did=1`,
        ">",
        ",",
        ";x=y",
      ],
      ...["?a=b", "@", "%", " ", "\r\n ", `<sip:${OWN};lr>`, "<sip:198.51.100.1;lr>", '"', "X <", ";did=2"],
    ),
    { maxLength: 4 },
  )
  .map((parts) => parts.join(""));

/** What is found out, or which error. */
function outcome(plan: () => RoutePlan): RoutePlan | string {
  try {
    return plan();
  } catch (error) {
    return String(error);
  }
}

describe("the quick form of a plan for the Route", () => {
  const listener: Listener = { transport: "udp", address: "192.0.2.1", port: 5060, family: 4, sentByFor: () => OWN };
  const source: Endpoint = { transport: "udp", address: "192.0.2.9", port: 5060, listener };
  const network = new SimNetwork();
  const texts = fc
    .tuple(
      fc.constantFrom("sip:a@192.0.2.7", `sip:${OWN};did=4`, "sip:a@b.example;maddr=192.0.2.1", "sip:a@b.example;transport=tcp"),
      fc.array(fc.tuple(fc.constantFrom("Route: ", "Route: ", "route:", "Route :\t"), route), { maxLength: 2 }),
    )
    .map(([uri, routes]) => {
      const lines = routes.map(([name, value]) => `${name}${value}\r\n`).join("");
      const head = `BYE ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n`;
      return `${head}${lines}From: <sip:f@x>;tag=1\r\nTo: <sip:t@x>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n`;
    });

  it("is what reading all of it says", () => {
    let ours = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const request = parseMessage(text);
        if (request.kind !== "request") return;
        const quick = outcome(() => planRoute(request as SipRequest, network, source));
        assert.deepEqual(
          quick,
          outcome(() => readRoute(request as SipRequest, network, listener)),
        );
        if (typeof quick !== "string" && quick.did !== undefined) ours++;
      }),
      RUNS,
    );
    assert.ok(ours > 50);
  });
});
