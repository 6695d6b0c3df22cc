import Type, { type Static } from "typebox";
import type { DialogReplicaOptions } from "./dialog-holdings.ts";
import { DidSchema } from "./dialog-record.ts";

/** Most calls that one message tells of. */
export const MAX_DIDS_A_MESSAGE = 500;
/** Beats after a message that repeat its number: one of them tells who has lost the message. */
const REPEATS = 5;
/** Beats after which it is repeated once more, should all of those be lost. */
const REMINDER_BEATS = 30;
/** Nodes whose numbers are remembered. */
const MAX_SENDERS = 1_000;

const SeqSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const NodeSchema = Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 });
const DidsSchema = Type.Array(DidSchema, { maxItems: MAX_DIDS_A_MESSAGE });
const MovedSchema = Type.Array(Type.Tuple([DidSchema, Type.Integer({ minimum: 0 })]), { maxItems: MAX_DIDS_A_MESSAGE });

const MessageSchema = Type.Union([
  Type.Tuple([SeqSchema, Type.Literal("beat")]),
  Type.Tuple([SeqSchema, Type.Literal("moved"), MovedSchema]),
  Type.Tuple([SeqSchema, Type.Literal("ended"), DidsSchema]),
  Type.Tuple([SeqSchema, Type.Literal("adopted"), NodeSchema]),
  Type.Tuple([SeqSchema, Type.Literal("took"), NodeSchema]),
  Type.Tuple([SeqSchema, Type.Literal("offer"), NodeSchema, DidsSchema]),
]);

type Message = Static<typeof MessageSchema>;
type Numbered<T> = T extends [number, ...infer Rest] ? Rest : never;
/** What nodes tell each other of calls, without its number. */
export type DialogNews = Numbered<Message>;

interface Sender {
  readonly incarnation: string;
  seq: number;
}

/** What nodes tell each other of their calls. Each message has a number, so that who has lost one finds out. */
export class DialogChannel {
  readonly #options: DialogReplicaOptions;
  readonly #senders = new Map<number, Sender>();
  #seq = 0;
  #repeats = 0;
  #beats = 0;

  /** @param onNews what another node tells @param onGap something of what it told is lost */
  constructor(options: DialogReplicaOptions, onNews: (nodeId: number, news: DialogNews) => void, onGap: (nodeId: number) => void) {
    this.#options = options;
    const { link, keys, wire, self, nodes } = options;
    link.subscribe(keys.channel("dialog"), (text) => {
      const received = wire.decode(MessageSchema, text);
      if (received === undefined || received.nodeId === self.nodeId) return;
      const [seq, ...news] = received.body;
      if (this.#isGap(received.nodeId, received.incarnation, seq, news[0] === "beat")) onGap(received.nodeId);
      onNews(received.nodeId, news as DialogNews);
    });
    nodes.onBeat(() => {
      this.#beats++;
      if (this.#seq === 0 || !link.isUp || (this.#repeats === 0 && this.#beats % REMINDER_BEATS !== 0)) return;
      this.#repeats = Math.max(0, this.#repeats - 1);
      link.publish(keys.channel("dialog"), wire.encode([this.#seq, "beat"]));
    });
  }

  tell(...news: DialogNews): void {
    const { link, keys, wire } = this.#options;
    this.#seq++;
    this.#repeats = REPEATS;
    link.publish(keys.channel("dialog"), wire.encode([this.#seq, ...news]));
  }

  /** Tells of many calls, in as many messages as needed. */
  tellMany(kind: "ended", dids: readonly string[]): void;
  tellMany(kind: "moved", dids: readonly [did: string, taken: number][]): void;
  tellMany(kind: "ended" | "moved", dids: readonly unknown[]): void {
    for (let at = 0; at < dids.length; at += MAX_DIDS_A_MESSAGE) {
      this.tell(...([kind, dids.slice(at, at + MAX_DIDS_A_MESSAGE)] as unknown as DialogNews));
    }
  }

  #isGap(nodeId: number, incarnation: string, seq: number, isBeat: boolean): boolean {
    const sender = this.#senders.get(nodeId);
    const before = sender?.incarnation === incarnation ? sender.seq : 0;
    if (seq <= before) return false; // doubled or late
    if (sender?.incarnation === incarnation) sender.seq = seq;
    else {
      if (this.#senders.size >= MAX_SENDERS && !this.#senders.has(nodeId)) this.#senders.delete(this.#senders.keys().next().value!);
      this.#senders.set(nodeId, { incarnation, seq });
    }
    return isBeat || seq !== before + 1;
  }
}
