import { defineMethod } from "../define-method.ts";
import { toWire } from "../describe-dialog.ts";
import { MiError } from "../jsonrpc.ts";

/** `tracer:capture`: the latest messages of a call as they were on the wire, credentials and media keys masked. Not in OpenSIPS. */
export const tracerCapture = defineMethod({
  name: "tracer:capture",
  aliases: ["capture"],
  help: "tells for the Call-ID of a recent call its messages, each with time, direction and addresses, as far as they are still remembered",
  recipes: [["callid"]],
  isForOperators: true, // it tells more than who calls whom: what was sent, where the media go
  available: ({ capture }) => capture !== undefined,
  run(params, { ports }) {
    const found = ports.capture?.(toWire(params.text("callid")));
    if (found === undefined || found.messages.length === 0) throw new MiError(404, "Call-ID not found");
    const { messages, omitted, oldest } = found;
    return { Messages: messages, ...(omitted > 0 && { messages_omitted: omitted }), ...(oldest !== undefined && { oldest }) };
  },
});
