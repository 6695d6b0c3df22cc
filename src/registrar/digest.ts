import type { DigestAlgorithm, DigestHash } from "./ports.ts";

/** What a client says in its answer to a challenge, beside who it is. */
export interface DigestAnswer {
  readonly method: string;
  readonly uri: string;
  readonly nonce: string;
  /** Nonce count as it stands: 8 hexadecimal digits. */
  readonly nc: string;
  readonly cnonce: string;
}

/** H(A1) of RFC 7616 §3.4.2: what stands for the password. Hexadecimal. */
export function digestHa1(hash: DigestHash, algorithm: DigestAlgorithm, username: string, realm: string, password: string): string {
  return hash.digest(algorithm, `${username}:${realm}:${password}`);
}

/** The response to a challenge with qop "auth" (RFC 7616 §3.4.1, RFC 2617 §3.2.2.1). Hexadecimal. */
export function digestResponse(hash: DigestHash, algorithm: DigestAlgorithm, ha1: string, answer: DigestAnswer): string {
  const ha2 = hash.digest(algorithm, `${answer.method}:${answer.uri}`);
  return hash.digest(algorithm, `${ha1}:${answer.nonce}:${answer.nc}:${answer.cnonce}:auth:${ha2}`);
}

/** Compares in a time that tells nothing of where the texts differ. */
export function isSameSecret(a: string, b: string): boolean {
  let different = a.length ^ b.length;
  for (let at = 0; at < a.length; at++) different |= a.charCodeAt(at) ^ b.charCodeAt(at % (b.length || 1));
  return different === 0;
}

/** Text of the configuration as messages have it: its UTF-8 bytes, one character each. */
export function utf8Bytes(text: string): string {
  let bytes = "";
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}
