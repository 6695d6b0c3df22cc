import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { NameServer } from "../resolution/index.ts";

/** How a question ended without an answer: half a sentence. */
export class DnsError extends Error {
  override readonly name = "DnsError";
}

/** A message over TCP begins with its length (RFC 1035 §4.2.2), so that none has more than 65,535 bytes. */
const LENGTH_BYTES = 2;
/** Datagrams that are no answer to our question and are passed over, before the question is given up: somebody tries to forge one. */
const MAX_STRANGE = 100;

/** One question to one server. */
export interface Exchange<R> {
  readonly server: NameServer;
  readonly query: Buffer;
  readonly timeoutMs: number;
  /** Reads an answer; undefined when it is none to this question. */
  readonly read: (bytes: Buffer) => R | undefined;
  /** Is told of each datagram that was none. */
  readonly onStrange: () => void;
}

/**
 * Asks over UDP. Each question has a socket of its own, on a port that the system draws, and connected, so that only the server's own address can answer
 * (RFC 5452 §9.2).
 *
 * @throws {DnsError} when nothing that can be used comes in time
 */
export function exchangeUdp<R>({ server, query, timeoutMs, read, onStrange }: Exchange<R>): Promise<R> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.address) ? "udp6" : "udp4");
    let strange = 0;
    const timer = setTimeout(() => fail("no answer in time"), timeoutMs);
    function end(): void {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => undefined); // what comes after the end is of no interest
      socket.close();
    }
    function fail(reason: string): void {
      end();
      reject(new DnsError(reason));
    }
    socket.on("error", (error) => fail(codeOf(error)));
    socket.on("message", (bytes) => {
      const response = read(bytes);
      if (response === undefined) {
        onStrange();
        if (++strange >= MAX_STRANGE) fail("only answers to other questions");
        return;
      }
      end();
      resolve(response);
    });
    socket.on("connect", () => socket.send(query, (error) => error && fail(codeOf(error))));
    socket.connect(server.port, server.address);
  });
}

/**
 * Asks over TCP (RFC 7766), with a connection of its own.
 *
 * @throws {DnsError} when nothing that can be used comes in time
 */
export function exchangeTcp<R>({ server, query, timeoutMs, read, onStrange }: Exchange<R>): Promise<R> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.address, port: server.port });
    const chunks: Buffer[] = [];
    let received = 0;
    let wanted = LENGTH_BYTES;
    const timer = setTimeout(() => fail("no answer in time"), timeoutMs);
    function end(): void {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      socket.destroy();
    }
    function fail(reason: string): void {
      end();
      reject(new DnsError(reason));
    }
    socket.on("error", (error) => fail(codeOf(error)));
    socket.on("end", () => fail("the connection ended before the answer"));
    socket.on("connect", () => {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    });
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      received += chunk.length;
      if (received < wanted) return;
      const bytes = Buffer.concat(chunks);
      if (wanted === LENGTH_BYTES) wanted += bytes.readUInt16BE(0);
      if (received < wanted) return;
      const response = read(bytes.subarray(LENGTH_BYTES, wanted));
      if (response === undefined) {
        onStrange();
        return fail("an answer to another question");
      }
      end();
      resolve(response);
    });
  });
}

function codeOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return code ?? error.message;
}
