import type { Via } from "./via.ts";

/**
 * Numbers kept for each header in {@link HeaderIndex.slots}: two and not one for each offset, as a message is kept for as long as its transaction
 * lingers, half a minute, and each number of each of its headers with it.
 */
export const SLOTS_PER_HEADER = 2;
/** Header id, {@link FOLDED} when the value goes over several lines, and above {@link LINE_START_SHIFT} the start of the line, which is the start of the name. */
export const SLOT_LINE = 0;
/** Start of the value without the white space around it, and above {@link VALUE_END_SHIFT} its end, both from the start of the line. */
export const SLOT_VALUE = 1;

/** Set in the line slot of a header with continuation lines. */
export const FOLDED = 0x100;
export const ID_MASK = 0xff;
export const LINE_START_SHIFT = 9;
export const VALUE_START_MASK = 0x3fff;
export const VALUE_END_SHIFT = 14;

const NO_SLOTS: readonly number[] = [];

/**
 * Where everything stands in one message: what the single pass of the parser found out. Offsets into `raw`; a position in the header
 * list is -1 when the message has no such header.
 */
export class HeaderIndex {
  raw = "";
  /** {@link SLOTS_PER_HEADER} numbers a header, in the order of the message. */
  slots: readonly number[] = NO_SLOTS;
  count = 0;
  /** Start of the empty line behind the headers. */
  headersEnd = 0;
  bodyStart = 0;
  bodyEnd = 0;
  /** A line of the head ends in LF without CR. */
  hasBareLf = false;
  via = -1;
  from = -1;
  to = -1;
  callId = -1;
  cseq = -1;
  maxForwards = -1;
  contentLength = -1;
  topVia: Via | undefined = undefined;
  cseqNumber = 0;
  cseqMethod = "";
  /** -1 when the header is absent. */
  maxForwardsValue = -1;
  callIdValue = "";
  fromTag = "";
  toTag = "";

  constructor(raw: string) {
    this.raw = raw;
  }

  /** Forgets all, for the next message. */
  reset(raw: string): void {
    this.raw = raw;
    this.slots = NO_SLOTS;
    this.count = 0;
    this.headersEnd = 0;
    this.bodyStart = 0;
    this.bodyEnd = 0;
    this.hasBareLf = false;
    this.via = -1;
    this.from = -1;
    this.to = -1;
    this.callId = -1;
    this.cseq = -1;
    this.maxForwards = -1;
    this.contentLength = -1;
    this.topVia = undefined;
    this.cseqNumber = 0;
    this.cseqMethod = "";
    this.maxForwardsValue = -1;
    this.callIdValue = "";
    this.fromTag = "";
    this.toTag = "";
  }
}
