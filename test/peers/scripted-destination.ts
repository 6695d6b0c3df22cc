import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { headerOf } from "../support/sip-messages.ts";

/** A destination that answers probes as its script says, and notes how whoever probes it saw it before each. */
export interface Scripted {
  readonly socket: Socket;
  readonly uri: string;
  readonly flags: number;
  /** Letters of `dispatcher.list` before an answer, and the answer. */
  readonly steps: { readonly seen: string; readonly code: number }[];
  lastProbeAt: number;
}

/** Opens the socket of one whose record has these flags. */
export async function openScripted(address: string, flags: number): Promise<Scripted> {
  const socket = createSocket("udp4");
  socket.bind(0, address);
  await once(socket, "listening");
  return { socket, uri: `sip:${address}:${socket.address().port}`, flags, steps: [], lastProbeAt: 0 };
}

/** Answers until `stop`; `look` tells the letters of the destination now. */
export function play(scripted: Scripted, codes: () => number, look: (uri: string) => Promise<string>): void {
  const seen = new Set<string>();
  scripted.socket.on("message", (bytes, from) => {
    const text = bytes.toString("latin1");
    const via = headerOf(text, "Via");
    if (seen.has(via)) return; // sent again
    seen.add(via);
    scripted.lastProbeAt = performance.now();
    const code = codes();
    void look(scripted.uri).then((letters) => {
      scripted.steps.push({ seen: letters, code });
      if (code === 0) return;
      const copied = ["Via", "From", "To", "Call-ID", "CSeq"].map((name) => `${name}: ${headerOf(text, name)}`);
      scripted.socket.send([`SIP/2.0 ${code} Answer`, ...copied, "Content-Length: 0", "", ""].join("\r\n"), from.port, from.address);
    });
  });
}
