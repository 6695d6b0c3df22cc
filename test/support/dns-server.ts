import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket as TcpSocket } from "node:net";

/** What a record of the zone says. Names are without a final dot; "" is the root. */
export type ZoneData =
  | { readonly type: "A"; readonly ip: string }
  | { readonly type: "AAAA" /** 16 bytes as 32 hexadecimal digits. */; readonly hex: string }
  | { readonly type: "CNAME"; readonly target: string }
  | { readonly type: "SRV"; readonly priority: number; readonly weight: number; readonly port: number; readonly target: string }
  | {
      readonly type: "NAPTR";
      readonly order: number;
      readonly preference: number;
      readonly flags: string;
      readonly service: string;
      readonly regexp?: string;
      readonly replacement: string;
    };
export type ZoneRecord = ZoneData & { readonly ttlS?: number };

/** A question as the server read it. */
export interface Asked {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly transport: "udp" | "tcp";
  readonly hasEdns: boolean;
  /** The question section as it came. */
  readonly question: Buffer;
}

/** What a server does with a question in place of answering from its zone: bytes to send, nothing at all, or undefined for the zone's answer. */
export type Misbehaviour = (asked: Asked) => Buffer | readonly Buffer[] | "silence" | undefined;

const TYPES: Readonly<Record<string, number>> = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33, NAPTR: 35 };
const POINTER_TO_QUESTION = Buffer.from([0xc0, 12]);

/**
 * A name server on loopback, over UDP and TCP, with one zone. Its codec is its own and not the program's, so that the two check each other; the tests of
 * the server let Node's resolver, c-ares, check it.
 */
export class DnsServer {
  readonly asked: Asked[] = [];
  /** Records by name, in lower case. A name that is not there does not exist. */
  readonly zone = new Map<string, ZoneRecord[]>();
  /** Time to live of negative answers, seconds; undefined: they have no SOA record. */
  negativeTtlS: number | undefined = 60;
  /** Longer answers over UDP are cut. */
  udpLimit = 512;
  misbehave: Misbehaviour = () => undefined;
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly #connections = new Set<TcpSocket>();

  private constructor(udp: Socket, tcp: Server) {
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on("message", (bytes, { port, address }) => {
      for (const answer of this.#answers(bytes, "udp")) udp.send(answer, port, address);
    });
    tcp.on("connection", (socket) => {
      this.#connections.add(socket);
      socket.on("close", () => this.#connections.delete(socket));
      socket.on("error", () => undefined);
      socket.on("data", (bytes) => {
        for (const answer of this.#answers(bytes.subarray(2), "tcp")) socket.write(Buffer.concat([uint16(answer.length), answer]));
      });
    });
  }

  /** @param address a loopback address of the test's own */
  static async open(address = "127.0.0.1"): Promise<DnsServer> {
    for (let attempt = 0; ; attempt++) {
      const udp = createSocket("udp4");
      udp.bind(0, address);
      await once(udp, "listening");
      const tcp = createServer();
      tcp.listen(udp.address().port, address);
      try {
        await once(tcp, "listening");
        return new DnsServer(udp, tcp);
      } catch (error) {
        udp.close(); // somebody has that port over TCP
        if (attempt >= 10) throw error;
      }
    }
  }

  get address(): string {
    return (this.#tcp.address() as AddressInfo).address;
  }

  get port(): number {
    return (this.#tcp.address() as AddressInfo).port;
  }

  /** As `sip.dns_servers` names it. */
  get text(): string {
    return `${this.address}:${this.port}`;
  }

  /** Puts these records of a name in place of those it had. */
  set(name: string, ...records: ZoneRecord[]): this {
    this.zone.set(name.toLowerCase(), records);
    return this;
  }

  /** How often this was asked for. */
  times(name: string, type: string): number {
    return this.asked.filter((asked) => asked.name === name && asked.type === type).length;
  }

  async close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    this.#tcp.close();
    this.#udp.close();
    await Promise.all([once(this.#tcp, "close"), once(this.#udp, "close")]);
  }

  #answers(bytes: Buffer, transport: "udp" | "tcp"): readonly Buffer[] {
    const asked = readQuestion(bytes, transport);
    this.asked.push(asked);
    const own = this.misbehave(asked);
    if (own === "silence") return [];
    if (own !== undefined) return Buffer.isBuffer(own) ? [own] : own;
    const answer = this.answer(asked);
    return transport === "udp" && answer.length > this.udpLimit ? [message(asked, { isTruncated: true })] : [answer];
  }

  /** What the zone answers. */
  answer(asked: Asked): Buffer {
    const answers: Buffer[] = [];
    let name = asked.name;
    let records = this.zone.get(name);
    for (let i = 0; i < 10 && records?.[0]?.type === "CNAME" && asked.type !== "CNAME"; i++) {
      answers.push(record(name === asked.name ? undefined : name, records[0]));
      name = records[0].target;
      records = this.zone.get(name);
    }
    const wanted = (records ?? []).filter(({ type }) => type === asked.type);
    for (const one of wanted) answers.push(record(name === asked.name ? undefined : name, one));
    const authorities = wanted.length > 0 || this.negativeTtlS === undefined ? [] : [soa(this.negativeTtlS)];
    return message(asked, { rcode: records === undefined ? 3 : 0, answers, authorities });
  }
}

/** An answer to a question, put together of its parts. */
export function message(
  { id, question }: Pick<Asked, "id" | "question">,
  {
    rcode = 0,
    isTruncated = false,
    answers = [],
    authorities = [],
  }: { rcode?: number; isTruncated?: boolean; answers?: readonly Buffer[]; authorities?: readonly Buffer[] },
): Buffer {
  const flags = 0x8180 | (isTruncated ? 0x0200 : 0) | rcode;
  const counts = [1, answers.length, authorities.length, 0].map(uint16);
  return Buffer.concat([uint16(id), uint16(flags), ...counts, question, ...answers, ...authorities]);
}

/** A record as it stands in a message. @param name undefined: a pointer to the name that was asked for */
export function record(name: string | undefined, { ttlS = 300, ...data }: ZoneRecord): Buffer {
  return rawRecord(name === undefined ? POINTER_TO_QUESTION : nameBytes(name), TYPES[data.type] ?? 0, ttlS, dataBytes(data));
}

/** A record whose data may be anything. */
export function rawRecord(name: Buffer, type: number, ttlS: number, rdata: Buffer): Buffer {
  return Buffer.concat([name, uint16(type), uint16(1), uint32(ttlS), uint16(rdata.length), rdata]);
}

export function nameBytes(name: string): Buffer {
  const labels = name === "" ? [] : name.split(".");
  return Buffer.concat([...labels.map(textBytes), Buffer.from([0])]);
}

export function uint16(value: number): Buffer {
  return Buffer.from([(value >> 8) & 255, value & 255]);
}

function uint32(value: number): Buffer {
  return Buffer.concat([uint16(Math.trunc(value / 65_536)), uint16(value % 65_536)]);
}

function textBytes(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, "latin1")]);
}

function dataBytes(data: ZoneData): Buffer {
  switch (data.type) {
    case "A":
      return Buffer.from(data.ip.split(".").map(Number));
    case "AAAA":
      return Buffer.from(data.hex, "hex");
    case "CNAME":
      return nameBytes(data.target);
    case "SRV":
      return Buffer.concat([...[data.priority, data.weight, data.port].map(uint16), nameBytes(data.target)]);
    case "NAPTR":
      return Buffer.concat([
        ...[data.order, data.preference].map(uint16),
        ...[data.flags, data.service, data.regexp ?? ""].map(textBytes),
        nameBytes(data.replacement),
      ]);
  }
}

function soa(ttlS: number): Buffer {
  const numbers = [1, 3600, 600, 86_400, ttlS].map(uint32);
  return rawRecord(nameBytes("test"), TYPES["SOA"] ?? 0, ttlS, Buffer.concat([nameBytes("ns.test"), nameBytes("root.test"), ...numbers]));
}

function readQuestion(bytes: Buffer, transport: "udp" | "tcp"): Asked {
  const labels: string[] = [];
  let at = 12;
  while (bytes[at] !== undefined && bytes[at] !== 0) {
    const length = bytes[at]!;
    labels.push(bytes.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  const number = bytes.readUInt16BE(at + 1);
  const type = Object.entries(TYPES).find(([, value]) => value === number)?.[0] ?? String(number);
  const question = Buffer.from(bytes.subarray(12, at + 5));
  return {
    id: bytes.readUInt16BE(0),
    name: labels.join(".").toLowerCase(),
    type,
    transport,
    hasEdns: bytes.readUInt16BE(10) === 1,
    question,
  };
}
