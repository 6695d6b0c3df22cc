import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { EslFramer } from "../../src/freeswitch/framer.ts";
import { type EslMessage, EslMessageParser } from "../../src/freeswitch/message-parser.ts";

const FOLDER = join(import.meta.dirname, "../fixtures/freeswitch/esl");

/** Names of all recordings of the event socket. */
export const RECORDINGS = readdirSync(FOLDER)
  .map((file) => basename(file, ".recv"))
  .sort();

/** What FreeSWITCH sent in a recording, byte for byte. */
export function recordedBytes(name: string): Buffer {
  return readFileSync(join(FOLDER, `${name}.recv`));
}

/** The frames of a recording, each as it was sent. */
export function recordedFrames(name: string): string[] {
  const frames: string[] = [];
  new EslFramer().push(recordedBytes(name), (frame) => {
    frames.push(frame.toString("utf8"));
    return true;
  });
  return frames;
}

/** Reads bytes that arrive in these chunks. @throws FrameError */
export function readChunks(chunks: Iterable<Uint8Array>): EslMessage[] {
  const framer = new EslFramer();
  const parser = new EslMessageParser();
  const messages: EslMessage[] = [];
  for (const chunk of chunks) {
    framer.push(chunk, (frame) => {
      messages.push(parser.parse(frame));
      return true;
    });
  }
  return messages;
}
