import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { count, listOf, maybe, members, text, word } from "../shapes/kinds.ts";

/** `tracer:capture`: the latest messages of a call as they were on the wire, credentials and media keys masked. Not in OpenSIPS. */
export const tracerCapture = defineMethod({
  name: "tracer:capture",
  aliases: ["capture"],
  help: "tells for the Call-ID of a recent call its messages, each with time, direction and addresses, as far as they are still remembered",
  recipes: [["callid"]],
  parameters: { callid: text("Call-ID of the call") },
  result: members({
    Messages: listOf(
      members({
        time: text("ISO 8601 in UTC"),
        direction: word("seen from the balancer", "in", "out"),
        transport: text("udp, tcp, tls, ws or wss"),
        local: text("our address and port"),
        remote: text("the other address and port"),
        message: text("the message, credentials and media keys masked"),
      }),
      "the messages, oldest first",
    ),
    messages_omitted: maybe(count("further ones, which are not told")),
    oldest: maybe(text("since when messages of all calls are remembered, ISO 8601")),
  }),
  failures: [{ code: 404, message: "Call-ID not found" }],
  offeredWith: "tracing.ring_size",
  details: "See [tracing.md](tracing.md).",
  isForOperators: true, // it tells more than who calls whom: what was sent, where the media go
  available: ({ capture }) => capture !== undefined,
  async run(params, { ports }) {
    const found = await ports.capture?.(params.text("callid"));
    if (found === undefined || found.messages.length === 0) throw new MiError(404, "Call-ID not found");
    const { messages, omitted, oldest } = found;
    return { Messages: messages, ...(omitted > 0 && { messages_omitted: omitted }), ...(oldest !== undefined && { oldest }) };
  },
});
