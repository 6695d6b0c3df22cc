import type { Via } from "./via.ts";

/** Numbers kept for each header in {@link HeaderIndex.slots}. */
export const SLOTS_PER_HEADER = 5;
/** Header id, plus {@link FOLDED} when the value goes over several lines. */
export const SLOT_ID = 0;
/** Start of the line, which is the start of the name. */
export const SLOT_NAME_START = 1;
export const SLOT_NAME_END = 2;
/** The value without the white space around it. */
export const SLOT_VALUE_START = 3;
export const SLOT_VALUE_END = 4;

/** Set in the id slot of a header with continuation lines. */
export const FOLDED = 0x100;
export const ID_MASK = 0xff;

/**
 * Where everything stands in one message: what the single pass of the parser found out. Offsets into `raw`; a position in the header
 * list is -1 when the message has no such header.
 */
export class HeaderIndex {
  raw: string;
  /** {@link SLOTS_PER_HEADER} numbers a header, in the order of the message. */
  slots: readonly number[] = [];
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
}
