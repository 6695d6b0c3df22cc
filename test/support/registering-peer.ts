import { createHash } from "node:crypto";
import { headerOf, headersOf, request, statusOf, unique } from "./sip-messages.ts";
import { UdpPeer } from "./udp-peer.ts";

export interface RegisteringOptions {
  readonly user?: string;
  readonly password?: string;
  /** URI of Contact; the peer's own address when left out. */
  readonly contact?: string;
}

/** A server on a real socket that registers with the balancer: with digest, keeping its challenge between requests as FreeSWITCH does. */
export class RegisteringPeer {
  readonly peer: UdpPeer;
  readonly #proxy: { readonly address: string; readonly port: number };
  readonly #user: string;
  readonly #password: string;
  readonly #contact: string;
  readonly #callId = unique("reg");
  #challenge = "";
  #cseq = 0;
  #count = 0;

  constructor(peer: UdpPeer, proxy: { readonly address: string; readonly port: number }, options: RegisteringOptions = {}) {
    const { user = "fs", password = "secret word", contact = `sip:gw+headroom@${peer.sentBy};transport=udp;gw=headroom` } = options;
    this.peer = peer;
    this.#proxy = proxy;
    this.#user = user;
    this.#password = password;
    this.#contact = contact;
  }

  static async open(address: string, proxy: { readonly address: string; readonly port: number }, options?: RegisteringOptions) {
    return new RegisteringPeer(await UdpPeer.open(address), proxy, options);
  }

  /** Registers for so many seconds; 0 takes the registration back. @returns the last answer, after at most one challenge */
  async register(expiresS: number): Promise<string> {
    const answer = await this.#send(expiresS);
    if (statusOf(answer) !== 401) return answer;
    this.#challenge = headersOf(answer, "WWW-Authenticate")[0] ?? "";
    this.#count = 0;
    return this.#send(expiresS);
  }

  close(): Promise<void> {
    return this.peer.close();
  }

  async #send(expiresS: number): Promise<string> {
    const { address, port } = this.#proxy;
    const cseq = ++this.#cseq;
    const uri = `sip:${address}:${port}`;
    const headers = [`Contact: <${this.#contact}>`, `Expires: ${expiresS}`];
    if (this.#challenge !== "") headers.push(this.#authorization(uri));
    const self = `<sip:${this.#user}@${address}>`;
    const text = request({
      method: "REGISTER",
      uri,
      sentBy: this.peer.sentBy,
      from: `${self};tag=1`,
      to: self,
      callId: this.#callId,
      cseq,
      headers,
    });
    this.peer.send(text, this.#proxy);
    const isAnswer = (message: string): boolean =>
      statusOf(message) >= 200 && headerOf(message, "CSeq") === `${cseq} REGISTER` && headerOf(message, "Call-ID") === this.#callId;
    return this.peer.next(`answer to REGISTER ${cseq}`, isAnswer, 5_000);
  }

  #authorization(uri: string): string {
    const param = (name: string): string => new RegExp(`${name}="([^"]*)`).exec(this.#challenge)?.[1] ?? "";
    const [realm, nonce] = [param("realm"), param("nonce")];
    const nc = (++this.#count).toString(16).padStart(8, "0");
    const md5 = (text: string): string => createHash("md5").update(text).digest("hex");
    const response = md5(`${md5(`${this.#user}:${realm}:${this.#password}`)}:${nonce}:${nc}:c0:auth:${md5(`REGISTER:${uri}`)}`);
    return `Authorization: Digest username="${this.#user}", realm="${realm}", nonce="${nonce}", uri="${uri}", algorithm=MD5, response="${response}", cnonce="c0", qop=auth, nc=${nc}`;
  }
}
