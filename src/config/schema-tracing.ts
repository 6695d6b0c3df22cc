import { Type } from "typebox";
import { checkHepUrl, checkMethod } from "./checks.ts";
import { flag, item, list, optionalText, whole } from "./schema-keys.ts";

const MAX_UINT32 = 4_294_967_295;

/** The section `tracing` of the configuration. */
export const TracingSchema = Type.Object(
  {
    ring_size: whole(
      "Memory for the latest messages of all calls, for headroom capture: some 1,500 messages fit into 1 MiB. 0: none are remembered.",
      8,
      0,
      1024,
      { unit: "MiB" },
    ),
    hep_url: optionalText(
      "Capture server, such as Homer, that gets a copy of each SIP message in HEP version 3: udp:HOST:PORT or tcp:HOST:PORT. Null: nobody does.",
      { check: checkHepUrl },
    ),
    hep_capture_id: whole("What the capture server knows this node by, another number for each.", 1, 0, MAX_UINT32),
    hep_auth_key: optionalText("Key that the capture server wants in each packet. It goes over the network as it stands here.", {
      secret: true,
    }),
    hep_skip_methods: list(
      "Methods whose requests and responses are not copied to the capture server, such as OPTIONS and REGISTER. Responses are told by their CSeq.",
      item({ check: checkMethod }),
      [],
      { single: true },
    ),
    opentelemetry: flag(
      "Tell an OpenTelemetry SDK of each call: a span for the INVITE, and one inside it for each destination that it is sent to. The SDK is loaded beside the program, by NODE_OPTIONS=--import; without one there are no spans.",
      false,
    ),
  },
  { description: "Copies of SIP messages, for those who look for a fault.", additionalProperties: false },
);

/** Reads a `tracing.hep_url` that has passed its check. */
export function parseHepUrl(text: string): { transport: "udp" | "tcp"; host: string; port: number } {
  const [, transport, ipv6, name, port] = HEP_URL.exec(text) ?? [];
  return { transport: transport === "tcp" ? "tcp" : "udp", host: ipv6 ?? name ?? "", port: Number(port) };
}

const HEP_URL = /^(udp|tcp):(?:\/\/)?(?:\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/;
