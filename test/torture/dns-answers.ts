import assert from "node:assert/strict";
import { isIP } from "node:net";
import fc from "fast-check";
import { DNS_TYPES, type DnsResponse, type DnsType, decodeResponse } from "../../src/transport/dns-message.ts";
import { message, nameBytes, rawRecord, record, uint16, type ZoneRecord } from "../support/dns-server.ts";
import { processorMs, Slowest } from "./processor-time.ts";

const NAME = "farm.example.test";
const ID = 4_711;
const MAX_TTL_S = 2 ** 31 - 1;
const POINTER_BYTE = 0xc0;

const label = fc.string({ unit: fc.constantFrom(..."abXY09-_"), minLength: 1, maxLength: 12 });
const name = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("", NAME, "a.test", "__proto__", "constructor.test", `${"x".repeat(62)}.`.repeat(4).slice(0, 252)),
  },
  { weight: 6, arbitrary: fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join(".")) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("a..b", ".", `${"x".repeat(64)}.test`, "abcdefg.".repeat(40), "a b.test", "\0.test", "\xff.test"),
  },
);
const text = fc.string({ unit: fc.constantFrom("s", "SIP+D2U", "!", "\\", "\0", "\xff", "^.*$"), maxLength: 8 });
const uint = fc.nat(65_535);
const ttlS = fc.oneof(fc.nat(86_400), fc.constantFrom(0, MAX_TTL_S, MAX_TTL_S + 1, 2 ** 32 - 1));

const zoneRecord: fc.Arbitrary<ZoneRecord> = fc.oneof(
  fc.record({ type: fc.constant("A" as const), ip: fc.ipV4(), ttlS }),
  fc.record({
    type: fc.constant("AAAA" as const),
    hex: fc.string({ unit: fc.constantFrom(..."00ff19"), minLength: 32, maxLength: 32 }),
    ttlS,
  }),
  fc.record({ type: fc.constant("CNAME" as const), target: name, ttlS }),
  fc.record({ type: fc.constant("SRV" as const), priority: uint, weight: uint, port: uint, target: name, ttlS }),
  fc.record({
    type: fc.constant("NAPTR" as const),
    ...{ order: uint, preference: uint, flags: text, service: text, regexp: text, replacement: name, ttlS },
  }),
);
const wireRecord = fc.oneof(
  { weight: 16, arbitrary: fc.tuple(fc.option(name, { nil: undefined }), zoneRecord).map(([owner, data]) => record(owner, data)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(name, uint, ttlS, fc.uint8Array({ maxLength: 300 }))
      .map(([owner, type, seconds, bytes]) => rawRecord(nameBytes(owner), type, seconds, Buffer.from(bytes))),
  },
);

/** A change of the bytes; places count from the end of the id, without which nothing is looked at. */
const change = fc.oneof(
  fc.record({ kind: fc.constant("byte" as const), at: fc.nat(100_000), value: fc.nat(255) }),
  fc.record({ kind: fc.constant("pointer" as const), at: fc.nat(100_000), value: fc.nat(600) }),
  fc.record({ kind: fc.constant("count" as const), at: fc.nat(3), value: fc.oneof(fc.nat(20), uint) }),
  fc.record({ kind: fc.constant("cut" as const), at: fc.nat(100_000), value: fc.constant(0) }),
  fc.record({ kind: fc.constant("repeat" as const), at: fc.nat(100_000), value: fc.nat(2_000) }),
);

const forged = fc.record({
  type: fc.constantFrom(...(Object.keys(DNS_TYPES) as DnsType[])),
  rcode: fc.constantFrom(0, 0, 0, 3, 5),
  answers: fc.oneof(
    { weight: 9, arbitrary: fc.array(wireRecord, { maxLength: 12 }) },
    { weight: 1, arbitrary: fc.array(wireRecord, { minLength: 200, maxLength: 300 }) },
  ),
  authorities: fc.array(wireRecord, { maxLength: 3 }),
  changes: fc.oneof({ weight: 1, arbitrary: fc.constant([]) }, { weight: 4, arbitrary: fc.array(change, { minLength: 1, maxLength: 4 }) }),
});

type Forged = typeof forged extends fc.Arbitrary<infer Value> ? Value : never;

function bytesOf({ type, rcode, answers, authorities, changes }: Forged): Buffer {
  const question = Buffer.concat([nameBytes(NAME), uint16(DNS_TYPES[type]), uint16(1)]);
  let bytes = message({ id: ID, question }, { rcode, answers, authorities });
  for (const { kind, at, value } of changes) {
    const place = 2 + (at % Math.max(bytes.length - 3, 1));
    if (kind === "byte") bytes[place] = value;
    else if (kind === "pointer") bytes.set([POINTER_BYTE | (value >> 8), value & 255], Math.min(place, bytes.length - 2));
    else if (kind === "count") bytes.set(uint16(value), 4 + at * 2);
    else if (kind === "cut") bytes = bytes.subarray(0, Math.max(place, 12));
    else bytes = Buffer.concat([bytes, ...new Array<Buffer>(value).fill(bytes.subarray(place, place + 30))]).subarray(0, 65_535);
  }
  return bytes;
}

/** What a run found out. */
export interface DnsReport {
  readonly answers: number;
  /** How many were read, and records in them. */
  readonly read: number;
  readonly records: number;
  readonly slowestMs: number;
  readonly lookedAt: number;
}

/** Whatever was read must be what it is said to be: it goes into a table of addresses. */
function checkResponse({ answers, negativeTtlS }: DnsResponse<DnsType>, type: DnsType): void {
  const isTtl = (seconds: number): boolean => Number.isInteger(seconds) && seconds >= 0 && seconds <= MAX_TTL_S;
  assert.ok(negativeTtlS === undefined || isTtl(negativeTtlS), `time to live ${negativeTtlS}`);
  for (const { name: owner, ttlS: seconds, alias, value } of answers) {
    assert.ok(isTtl(seconds), `time to live ${seconds}`);
    assert.notEqual(alias === undefined, value === undefined, "a record is an alias or has a value");
    const names = [owner, alias ?? ""];
    if (typeof value === "string") assert.equal(isIP(value), type === "A" ? 4 : 6, value);
    else if (value !== undefined) names.push("target" in value ? value.target : value.replacement);
    for (const each of names) assert.match(each, /^[!-~\ufffd]{0,253}$/);
  }
}

/**
 * Gives forged answers to the decoder of DNS messages: true ones of all types, with counts, lengths and pointers that lie. Each must be refused or read as
 * addresses, names and times that are such, in less than `MAX_MS`.
 *
 * @throws AssertionError with the seed
 */
export function fuzzDnsAnswers({ answers, seed }: { answers: number; seed: number }): DnsReport {
  const slowest = new Slowest();
  let [read, records] = [0, 0];
  for (const [i, each] of fc.sample(forged, { seed, numRuns: answers }).entries()) {
    const bytes = bytesOf(each);
    const where = (): string => `DNS answer ${i + 1} from seed ${seed}: ${bytes.subarray(0, 1_000).toString("hex")}`;
    let response: DnsResponse<DnsType> | undefined;
    const decode = (): number =>
      processorMs(() => {
        response = decodeResponse(bytes, ID, NAME, each.type);
      });
    try {
      slowest.note(decode(), decode, where);
      if (response === undefined) continue;
      read++;
      records += response.answers.length;
      checkResponse(response, each.type);
    } catch (error) {
      throw new Error(`${where()}: ${String(error)}`, { cause: error });
    }
  }
  return { answers, read, records, slowestMs: slowest.ms, lookedAt: slowest.lookedAt };
}
