import assert from "node:assert/strict";
import { AnsweringPeer } from "./answering-peer.ts";
import { FakeFreeswitch } from "./fake-freeswitch.ts";
import { type Headroom, type ListedDestination, startHeadroom } from "./headroom.ts";
import { waitFor } from "./net.ts";
import { headerOf, request, statusOf } from "./sip-messages.ts";
import { UdpPeer } from "./udp-peer.ts";

/** Parts of the configuration that the tests of FreeSWITCH begin with: the formula of OpenSIPS and nothing beside it. */
export const PLAIN_FORMULA = `
routing: { rules: [{ group: 1, resources: calls, failover_on: ["408", "5xx"], disable_on: [] }] }
load_balancer: { fetch_freeswitch_stats: true }
freeswitch: { predict: false, obey_sessions_per_second: false, stale_heartbeats: 0, status_interval: 1 }
`;

/** One simulated FreeSWITCH: its event socket and its SIP side. */
export interface Media {
  readonly esl: FakeFreeswitch;
  readonly sip: AnsweringPeer;
}

/** A call that is up. */
export interface UpCall {
  /** The destination's row, from 1; 0 when it was refused. */
  readonly destination: number;
  readonly status: number;
  readonly callId: string;
  hangUp(): Promise<void>;
}

/** The program with simulated FreeSWITCHes: row N names the event socket of the N-th for its resource "calls". */
export class FreeswitchFarm {
  readonly headroom: Headroom;
  readonly media: readonly Media[];
  readonly #caller: UdpPeer;

  private constructor(headroom: Headroom, media: readonly Media[], caller: UdpPeer) {
    this.headroom = headroom;
    this.media = media;
    this.#caller = caller;
  }

  static async start(size: number, config: string, prepare: (media: readonly Media[]) => void = () => undefined): Promise<FreeswitchFarm> {
    const media: Media[] = [];
    for (let i = 0; i < size; i++) media.push({ esl: await FakeFreeswitch.start(), sip: await AnsweringPeer.open("127.0.0.1") });
    prepare(media);
    const rows = media.map(({ esl, sip }) => ({ uri: sip.uri, resources: `calls=${esl.url}` }));
    return new FreeswitchFarm(await startHeadroom(config, rows), media, await UdpPeer.open("127.0.0.1"));
  }

  async stop(): Promise<void> {
    await this.headroom.stop().finally(async () => {
      await this.#caller.close();
      for (const { esl, sip } of this.media) await Promise.all([esl.stop(), sip.close()]);
    });
  }

  /** `max` of the first resource of each destination. */
  async capacities(): Promise<number[]> {
    return (await this.headroom.list()).map(({ Resources }) => Resources[0]?.max ?? Number.NaN);
  }

  async destination(id: number): Promise<ListedDestination & { freeswitch?: string; resting?: number; breaker?: string }> {
    const found = (await this.headroom.list()).find((destination) => destination.id === id);
    assert.ok(found);
    return found;
  }

  /** Members of `lb_freeswitch`, in the order of the rows. */
  async freeswitches(): Promise<Record<string, unknown>[]> {
    return ((await this.headroom.mi("lb_freeswitch")) as { FreeSWITCHes: Record<string, unknown>[] }).FreeSWITCHes;
  }

  async statistic(name: string): Promise<number> {
    const values = (await this.headroom.mi("get_statistics", { statistics: [name] })) as Record<string, number>;
    return values[name] ?? Number.NaN;
  }

  /** Waits until the event sockets of these rows are subscribed; all of them when none is named. */
  async untilConnected(rows: readonly number[] = this.media.map((_, i) => i)): Promise<void> {
    for (const row of rows) await waitFor("subscription", 5000, () => this.media[row]!.esl.subscribers > 0);
    await waitFor("connections", 5000, async () => (await this.statistic("freeswitch:connected")) >= rows.length);
  }

  /** Sends a heartbeat from each of these rows and waits until all were taken. */
  async beat(rows: readonly number[] = this.media.map((_, i) => i)): Promise<void> {
    const before = await this.statistic("freeswitch:heartbeats");
    for (const row of rows) this.media[row]!.esl.beat();
    await waitFor("heartbeats", 5000, async () => (await this.statistic("freeswitch:heartbeats")) >= before + rows.length);
  }

  /** Makes a call, and holds it when it was answered. */
  async call(): Promise<UpCall> {
    const { headroom } = this;
    const caller = this.#caller;
    const invite = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
    const callId = headerOf(invite, "Call-ID");
    caller.send(invite, headroom);
    const isFinal = (text: string): boolean => statusOf(text) >= 200 && text.includes(callId);
    const answer = await caller.next("final response", (text) => isFinal(text) && headerOf(text, "CSeq").endsWith(" INVITE"), 5000);
    const inside = (method: string, cseq: number): string =>
      request({
        method,
        cseq,
        uri: /<([^>]*)>/.exec(headerOf(answer, "Contact"))?.[1] ?? "",
        sentBy: caller.sentBy,
        from: headerOf(answer, "From"),
        to: headerOf(answer, "To"),
        callId,
        routes: [headerOf(answer, "Record-Route")],
      });
    const status = statusOf(answer);
    if (status < 300) caller.send(inside("ACK", 1), headroom);
    return {
      status,
      callId,
      destination:
        status < 300 ? this.media.findIndex(({ sip }) => headerOf(answer, "Contact").includes(sip.uri.slice("sip:".length))) + 1 : 0,
      hangUp: async () => {
        caller.send(inside("BYE", 2), headroom);
        await caller.next("200 to BYE", (text) => isFinal(text) && headerOf(text, "CSeq").endsWith(" BYE"), 5000);
      },
    };
  }
}
