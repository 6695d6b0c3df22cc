/** What the limits cost a message: `node test/overload/cost-bench.ts`. Prints nanoseconds; no test, as times depend on the machine. */
import { parseMessage } from "../../src/sip/index.ts";
import { request } from "../support/sip-messages.ts";
import { bytesOf, limits, parsed } from "./fixtures.ts";

const ROUNDS = 1_000_000;
const MANY = 4_096;

function measure(name: string, run: (i: number) => unknown): void {
  for (let i = 0; i < 100_000; i++) run(i);
  const began = performance.now();
  for (let i = 0; i < ROUNDS; i++) run(i);
  process.stdout.write(`${name.padEnd(60)} ${(((performance.now() - began) * 1e6) / ROUNDS).toFixed(0).padStart(7)} ns\n`);
}

const open = { rate: { unitMs: 2_000, density: 1_000_000_000, banMs: 60_000 } };
const text = request({ headers: ["User-Agent: Asterisk PBX 20.4.0", "Allow: INVITE, ACK, BYE", "Supported: replaces"] });
const invite = bytesOf(text);
const response = bytesOf("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n");
const noise = bytesOf("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
const rtp = Buffer.alloc(172, 0x80);
// Each datagram brings a text of its own; a constant would have its hash ready.
const v4 = Array.from({ length: MANY }, (_, i) => ["192.0", i >> 8, i & 255].join("."));
const v6 = Array.from({ length: MANY }, (_, i) => `2001:db8:${i.toString(16)}::${["5060", "1"].join(":")}`);
const { overload } = limits(open, { nowMs: () => performance.now() });
measure("INVITE of one of 4096 IPv4 sources", (i) => overload.admitDatagram(invite, v4[i % MANY]!));
measure("INVITE of one of 4096 IPv6 sources", (i) => overload.admitDatagram(invite, v6[i % MANY]!));
measure("response", () => overload.admitDatagram(response, "192.0.2.1"));
measure("junk: text", () => overload.admitDatagram(noise, "192.0.2.1"));
measure("junk: RTP", () => overload.admitDatagram(rtp, "192.0.2.1"));
const made = limits(open, { nowMs: () => performance.now() }).overload;
measure("INVITE, each of another made-up source", (i) => made.admitDatagram(invite, `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`));
const banning = limits({}, { nowMs: () => performance.now() }).overload;
measure("INVITE of a banned source", () => banning.admitDatagram(invite, "192.0.2.1"));
const usual = parsed({ headers: ["User-Agent: Asterisk PBX 20.4.0"] });
measure("screening of a request outside of calls", () => overload.screen(usual, "192.0.2.1"));
measure("room for a new call, without a ceiling", () => overload.refusalS(usual));
measure("for comparison: latin1 text of the INVITE", () => invite.toString("latin1"));
measure("for comparison: parsing it", () => parseMessage(text));
